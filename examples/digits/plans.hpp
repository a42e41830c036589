// What networks on libfewbit share: calls that throw, handles that destroy, memory for runs.
#pragma once

#include <fewbit.h>

#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace digits {

inline void check(fewbit_status status, const fewbit_error &error) {
    if (status != FEWBIT_OK)
        throw std::runtime_error(std::string(fewbit_status_string(status)) + ": " + error.message);
}

inline void check(fewbit_status status, const char *call) {
    if (status != FEWBIT_OK)
        throw std::runtime_error(std::string(call) + ": " + fewbit_status_string(status));
}

struct Destroy {
    void operator()(fewbit_conv *conv) const { fewbit_conv_destroy(conv); }
    void operator()(fewbit_linear *linear) const { fewbit_linear_destroy(linear); }
};

struct Workspace {
    struct Free {
        std::size_t alignment;
        void operator()(void *memory) const { ::operator delete(memory, std::align_val_t{alignment}); }
    };
    Workspace(std::size_t bytes, std::size_t alignment)
        : size(bytes), memory(::operator new(bytes, std::align_val_t{alignment}), Free{alignment}) {}
    void *get() const { return memory.get(); }
    std::size_t size;
    std::unique_ptr<void, Free> memory;
};

}  // namespace digits
