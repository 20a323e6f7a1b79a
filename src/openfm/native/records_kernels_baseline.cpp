#define OPENFM_ISA baseline
#include "records_kernels_body.hpp"
