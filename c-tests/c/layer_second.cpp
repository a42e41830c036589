// The C++ layer in a second translation unit, included twice.
#include "fewbit.hpp"
#include "fewbit.hpp"

fewbit::Linear made_elsewhere(const fewbit_linear_desc &desc);

fewbit::Linear made_elsewhere(const fewbit_linear_desc &desc) {
    return fewbit::Linear::create(desc);
}
