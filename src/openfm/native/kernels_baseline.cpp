#define OPENFM_ISA baseline
#include "kernels_body.hpp"
