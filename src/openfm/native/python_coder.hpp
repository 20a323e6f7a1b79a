// A coder of texts as Python holds it: openfm.encoding makes it, and the readers of text are given it.
#pragma once

#include <nanobind/nanobind.h>

#include "text_dictionary.hpp"

namespace openfm {

struct TextCoder {
    text::Coder coder;
    nanobind::object vocabulary;  // that lives as long as its dictionary is needed; None without one
};

}  // namespace openfm
