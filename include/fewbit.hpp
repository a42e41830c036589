/* fewbit: quantization kernels for CPUs. A thin C++17 layer over fewbit.h, in this header alone.
 *
 * It adds ownership: plans that destroy themselves, workspaces, the caller's threads as a callable. The arithmetic,
 * its documentation and everything that needs no ownership are the functions of fewbit.h; call them as they are.
 *
 * Failure is the caller's choice. Functions marked noexcept return a status, or an empty object with the reason in a
 * fewbit_error, and are all there is with -fno-exceptions; constructors and fewbit::check throw fewbit::Error.
 */
#ifndef FEWBIT_HPP
#define FEWBIT_HPP

#include "fewbit.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define FEWBIT_HAS_EXCEPTIONS 1
#include <stdexcept>
#else
#define FEWBIT_HAS_EXCEPTIONS 0
#endif

namespace fewbit {

#if FEWBIT_HAS_EXCEPTIONS

/** A refused call: what() is the sentence that fewbit_error holds, or the status' text. */
class Error : public std::runtime_error {
public:
    explicit Error(fewbit_status status, const fewbit_error *reason = nullptr)
        : std::runtime_error(reason != nullptr && reason->message[0] != '\0' ? reason->message
                                                                             : fewbit_status_string(status)),
          status_(status), argument_(reason != nullptr ? reason->argument : "") {}

    /** One of FEWBIT_ERROR_*. */
    fewbit_status status() const noexcept { return status_; }
    /** The offending argument's name; empty where the function does not tell. */
    const std::string &argument() const noexcept { return argument_; }

private:
    fewbit_status status_;
    std::string argument_;
};

/** Throws Error unless the status is FEWBIT_OK. */
inline void check(fewbit_status status, const fewbit_error *reason = nullptr) {
    if (status != FEWBIT_OK) {
        throw Error(status, reason);
    }
}

#endif

/** A row-major shape without gaps; more than 8 dimensions make one that every function refuses. */
inline fewbit_shape shape(std::initializer_list<std::size_t> dims) noexcept {
    fewbit_shape shape = FEWBIT_SHAPE_INIT;
    shape.rank = dims.size();
    std::size_t axis = 0;
    for (std::size_t dim : dims) {
        if (axis < sizeof shape.dims / sizeof shape.dims[0]) {
            shape.dims[axis++] = dim;
        }
    }
    return shape;
}

/** FEWBIT_TENSOR_QUANT_INIT, FEWBIT_LINEAR_DESC_INIT and so on as values. */
inline fewbit_tensor_quant tensor_quant() noexcept {
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    return spec;
}
inline fewbit_linear_desc linear_desc() noexcept {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    return desc;
}
inline fewbit_linear_batch linear_batch() noexcept {
    fewbit_linear_batch batch = FEWBIT_LINEAR_BATCH_INIT;
    return batch;
}
inline fewbit_gemm_desc gemm_desc() noexcept {
    fewbit_gemm_desc desc = FEWBIT_GEMM_DESC_INIT;
    return desc;
}
inline fewbit_gemm_args gemm_args() noexcept {
    fewbit_gemm_args args = FEWBIT_GEMM_ARGS_INIT;
    return args;
}
inline fewbit_plan_info plan_info() noexcept {
    fewbit_plan_info info = FEWBIT_PLAN_INFO_INIT;
    return info;
}
inline fewbit_conv_desc conv_desc() noexcept {
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    return desc;
}
inline fewbit_pool_desc pool_desc() noexcept {
    fewbit_pool_desc desc = FEWBIT_POOL_DESC_INIT;
    return desc;
}
inline fewbit_binary_desc binary_desc() noexcept {
    fewbit_binary_desc desc = FEWBIT_BINARY_DESC_INIT;
    return desc;
}

/** What a run asks for: bytes, and the alignment of the first. */
struct WorkspaceSize {
    std::size_t size = 0;
    std::size_t align = 1;
};

/** Memory for runs; one for each run at the same time. It grows and never shrinks. */
class Workspace {
public:
    Workspace() noexcept = default;
#if FEWBIT_HAS_EXCEPTIONS
    /** Throws std::bad_alloc. */
    explicit Workspace(WorkspaceSize needed) {
        if (!reserve(needed)) {
            throw std::bad_alloc();
        }
    }
#endif
    Workspace(Workspace &&other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), held_(std::exchange(other.held_, WorkspaceSize{})) {}
    Workspace &operator=(Workspace &&other) noexcept {
        if (this != &other) {
            release();
            memory_ = std::exchange(other.memory_, nullptr);
            held_ = std::exchange(other.held_, WorkspaceSize{});
        }
        return *this;
    }
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;
    ~Workspace() { release(); }

    /** Makes room; contents are lost where it grows. False, and nothing changed, if there is no memory. */
    bool reserve(WorkspaceSize needed) noexcept {
        if (needed.size <= held_.size && needed.align <= held_.align) {
            return true;
        }
        const std::size_t align = needed.align > held_.align ? needed.align : held_.align;
        const std::size_t size = needed.size > held_.size ? needed.size : held_.size;
        void *memory = ::operator new(size, std::align_val_t(align), std::nothrow);
        if (memory == nullptr) {
            return false;
        }
        release();
        memory_ = memory;
        held_.size = size;
        held_.align = align;
        return true;
    }

    void *data() noexcept { return memory_; }
    std::size_t size() const noexcept { return held_.size; }

private:
    void release() noexcept {
        if (memory_ != nullptr) {
            ::operator delete(memory_, std::align_val_t(held_.align));
        }
    }

    void *memory_ = nullptr;
    WorkspaceSize held_;
};

/** The tasks of a run, as the caller's threads get them: task(index, worker), once for each index. */
class Task {
public:
    Task(fewbit_task task, void *arg) noexcept : task_(task), arg_(arg) {}
    void operator()(std::size_t index, std::size_t worker) const { task_(arg_, index, worker); }

private:
    fewbit_task task_;
    void *arg_;
};

/** A callable `void(std::size_t n, const fewbit::Task &task)` as a fewbit_parallel_for. It calls task(index, worker) for
 * each index < n, with worker < max_workers and no two tasks at once under one worker, and returns when all are done.
 * An exception that leaves it ends the program. Must stay where it is while runs use it. */
template <class Run> class ParallelFor {
public:
    ParallelFor(std::size_t max_workers, Run run, std::size_t min_operations = 0) noexcept(
        std::is_nothrow_move_constructible_v<Run>)
        : run_(std::move(run)), parallel_for_{this, max_workers, call, min_operations} {}
    ParallelFor(const ParallelFor &) = delete;
    ParallelFor &operator=(const ParallelFor &) = delete;

    const fewbit_parallel_for *get() const noexcept { return &parallel_for_; }
    std::size_t max_workers() const noexcept { return parallel_for_.max_workers; }

private:
    static void call(void *ctx, std::size_t n, fewbit_task task, void *arg) noexcept {
        static_cast<ParallelFor *>(ctx)->run_(n, Task(task, arg));
    }

    Run run_;
    fewbit_parallel_for parallel_for_;
};

/** What a linear layer tells of itself; see fewbit_linear_info. */
struct LinearInfo {
    char kernel_name[64] = {};
    std::int64_t bound = 0;
    std::size_t weight_bytes = 0;
};

/** An owned linear layer: fewbit_linear_create and its destruction. */
class Linear {
public:
    /** Empty: converts to false, and calls are refused. */
    Linear() noexcept = default;
#if FEWBIT_HAS_EXCEPTIONS
    /** Throws Error. */
    explicit Linear(const fewbit_linear_desc &desc) {
        fewbit_error reason;
        fewbit_linear *linear = nullptr;
        check(fewbit_linear_create(&desc, &linear, &reason), &reason);
        handle_.reset(linear);
    }
#endif
    /** Empty on failure, the reason in `error`. */
    static Linear create(const fewbit_linear_desc &desc, fewbit_error *error = nullptr) noexcept {
        Linear made;
        fewbit_linear *linear = nullptr;
        if (fewbit_linear_create(&desc, &linear, error) == FEWBIT_OK) {
            made.handle_.reset(linear);
        }
        return made;
    }

    /** fewbit_linear_create_packed: `packed` must outlive the plan. Empty on failure, the reason in `error`. */
    static Linear create_packed(const fewbit_linear_desc &desc, const void *packed, std::size_t packed_size,
                         fewbit_error *error = nullptr) noexcept {
        Linear made;
        fewbit_linear *plan = nullptr;
        if (fewbit_linear_create_packed(&desc, packed, packed_size, &plan, error) == FEWBIT_OK) {
            made.handle_.reset(plan);
        }
        return made;
    }

    explicit operator bool() const noexcept { return handle_ != nullptr; }
    const fewbit_linear *get() const noexcept { return handle_.get(); }

    fewbit_status packed_size(std::size_t &size, fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_packed_size(get(), &size, error);
    }
    fewbit_status save_packed(void *packed, std::size_t packed_size, fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_save_packed(get(), packed, packed_size, error);
    }

    fewbit_status workspace(std::size_t rows, std::size_t max_workers, WorkspaceSize &needed,
                            fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_workspace(get(), rows, max_workers, &needed.size, &needed.align, error);
    }

    /** fewbit_linear_run; parallel_for may be nullptr. */
    fewbit_status run(std::size_t rows, const void *x, std::size_t x_stride, Workspace &workspace, void *y,
                      std::size_t y_stride, const fewbit_parallel_for *parallel_for = nullptr,
                      fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_run(get(), rows, x, x_stride, workspace.data(), workspace.size(), parallel_for, y,
                                 y_stride, error);
    }

    /** fewbit_linear_run_dynamic of all rows, without a residual; zero_points may be nullptr for the symmetric scheme. */
    fewbit_status run_dynamic(std::size_t rows, const void *x, std::size_t x_stride, Workspace &workspace, void *y,
                              std::size_t y_stride, float *scales, std::int32_t *zero_points,
                              const fewbit_parallel_for *parallel_for = nullptr,
                              fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_run_dynamic(get(), rows, x, x_stride, nullptr, 0, workspace.data(), workspace.size(),
                                         parallel_for, y, y_stride, scales, zero_points, 0, rows, error);
    }

    fewbit_status batch_workspace(std::size_t rows, std::size_t max_workers, WorkspaceSize &needed,
                                  fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_batch_workspace(get(), rows, max_workers, &needed.size, &needed.align, error);
    }

    /** fewbit_linear_run_batch with this workspace instead of the one in `batch`. */
    fewbit_status run_batch(fewbit_linear_batch batch, Workspace &workspace,
                            const fewbit_parallel_for *parallel_for = nullptr,
                            fewbit_error *error = nullptr) const noexcept {
        batch.workspace = workspace.data();
        batch.workspace_size = workspace.size();
        return fewbit_linear_run_batch(get(), &batch, parallel_for, error);
    }

    /** fewbit_linear_run_batch_dynamic, likewise; zero_points may be nullptr for the symmetric scheme. */
    fewbit_status run_batch_dynamic(fewbit_linear_batch batch, Workspace &workspace, float *scales,
                                    std::int32_t *zero_points, const fewbit_parallel_for *parallel_for = nullptr,
                                    fewbit_error *error = nullptr) const noexcept {
        batch.workspace = workspace.data();
        batch.workspace_size = workspace.size();
        return fewbit_linear_run_batch_dynamic(get(), &batch, scales, zero_points, parallel_for, error);
    }

    fewbit_status grouped_workspace(std::size_t problems, std::size_t rows, std::size_t max_workers,
                                    WorkspaceSize &needed, fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_grouped_workspace(get(), problems, rows, max_workers, &needed.size, &needed.align, error);
    }

    /** fewbit_linear_run_grouped. */
    fewbit_status run_grouped(const fewbit_linear_problem *problems, std::size_t count, Workspace &workspace,
                              const fewbit_parallel_for *parallel_for = nullptr,
                              fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_run_grouped(get(), problems, count, workspace.data(), workspace.size(), parallel_for,
                                         error);
    }

    /** fewbit_linear_run_grouped_dynamic; zero_points may be nullptr for the symmetric scheme. */
    fewbit_status run_grouped_dynamic(const fewbit_linear_problem *problems, std::size_t count, Workspace &workspace,
                                      float *scales, std::int32_t *zero_points,
                                      const fewbit_parallel_for *parallel_for = nullptr,
                                      fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_run_grouped_dynamic(get(), problems, count, workspace.data(), workspace.size(), scales,
                                             zero_points, parallel_for, error);
    }

    fewbit_status describe(fewbit_plan_info &info, fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_describe(get(), &info, error);
    }

    fewbit_status info(LinearInfo &info, fewbit_error *error = nullptr) const noexcept {
        return fewbit_linear_info(get(), info.kernel_name, sizeof info.kernel_name, &info.bound, &info.weight_bytes,
                                  error);
    }

private:
    struct Destroy {
        void operator()(fewbit_linear *linear) const noexcept { fewbit_linear_destroy(linear); }
    };
    std::unique_ptr<fewbit_linear, Destroy> handle_;
};

/** An owned product: fewbit_gemm_create and its destruction. */
class Gemm {
public:
    /** Empty: converts to false, and calls are refused. */
    Gemm() noexcept = default;
#if FEWBIT_HAS_EXCEPTIONS
    /** Throws Error. */
    explicit Gemm(const fewbit_gemm_desc &desc) {
        fewbit_error reason;
        fewbit_gemm *gemm = nullptr;
        check(fewbit_gemm_create(&desc, &gemm, &reason), &reason);
        handle_.reset(gemm);
    }
#endif
    /** Empty on failure, the reason in `error`. */
    static Gemm create(const fewbit_gemm_desc &desc, fewbit_error *error = nullptr) noexcept {
        Gemm made;
        fewbit_gemm *gemm = nullptr;
        if (fewbit_gemm_create(&desc, &gemm, error) == FEWBIT_OK) {
            made.handle_.reset(gemm);
        }
        return made;
    }

    /** fewbit_gemm_create_packed: `packed` must outlive the plan. Empty on failure, the reason in `error`. */
    static Gemm create_packed(const fewbit_gemm_desc &desc, const void *packed, std::size_t packed_size,
                              fewbit_error *error = nullptr) noexcept {
        Gemm made;
        fewbit_gemm *plan = nullptr;
        if (fewbit_gemm_create_packed(&desc, packed, packed_size, &plan, error) == FEWBIT_OK) {
            made.handle_.reset(plan);
        }
        return made;
    }

    explicit operator bool() const noexcept { return handle_ != nullptr; }
    const fewbit_gemm *get() const noexcept { return handle_.get(); }

    fewbit_status packed_size(std::size_t &size, fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_packed_size(get(), &size, error);
    }
    fewbit_status save_packed(void *packed, std::size_t packed_size, fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_save_packed(get(), packed, packed_size, error);
    }

    fewbit_status workspace(std::size_t rows, std::size_t max_workers, WorkspaceSize &needed,
                            fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_workspace(get(), rows, max_workers, &needed.size, &needed.align, error);
    }

    /** fewbit_gemm_run with this workspace instead of the one in `args`. */
    fewbit_status run(fewbit_gemm_args args, Workspace &workspace, const fewbit_parallel_for *parallel_for = nullptr,
                      fewbit_error *error = nullptr) const noexcept {
        args.workspace = workspace.data();
        args.workspace_size = workspace.size();
        return fewbit_gemm_run(get(), &args, parallel_for, error);
    }

    /** fewbit_gemm_run_range, likewise. */
    fewbit_status run_range(fewbit_gemm_args args, Workspace &workspace, std::size_t row_begin, std::size_t row_end,
                            std::size_t col_begin, std::size_t col_end,
                            const fewbit_parallel_for *parallel_for = nullptr,
                            fewbit_error *error = nullptr) const noexcept {
        args.workspace = workspace.data();
        args.workspace_size = workspace.size();
        return fewbit_gemm_run_range(get(), &args, row_begin, row_end, col_begin, col_end, parallel_for, error);
    }

    /** fewbit_gemm_run_dynamic, likewise; zero_points may be nullptr for the symmetric scheme. */
    fewbit_status run_dynamic(fewbit_gemm_args args, Workspace &workspace, float *scales, std::int32_t *zero_points,
                              const fewbit_parallel_for *parallel_for = nullptr,
                              fewbit_error *error = nullptr) const noexcept {
        args.workspace = workspace.data();
        args.workspace_size = workspace.size();
        return fewbit_gemm_run_dynamic(get(), &args, scales, zero_points, parallel_for, error);
    }

    fewbit_status grouped_workspace(std::size_t problems, std::size_t rows, std::size_t max_workers,
                                    WorkspaceSize &needed, fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_grouped_workspace(get(), problems, rows, max_workers, &needed.size, &needed.align, error);
    }

    /** fewbit_gemm_run_grouped. */
    fewbit_status run_grouped(const fewbit_gemm_problem *problems, std::size_t count, Workspace &workspace,
                              const fewbit_parallel_for *parallel_for = nullptr,
                              fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_run_grouped(get(), problems, count, workspace.data(), workspace.size(), parallel_for, error);
    }

    /** fewbit_gemm_run_grouped_dynamic; zero_points may be nullptr for the symmetric scheme. */
    fewbit_status run_grouped_dynamic(const fewbit_gemm_problem *problems, std::size_t count, Workspace &workspace,
                                      float *scales, std::int32_t *zero_points,
                                      const fewbit_parallel_for *parallel_for = nullptr,
                                      fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_run_grouped_dynamic(get(), problems, count, workspace.data(), workspace.size(), scales,
                                             zero_points, parallel_for, error);
    }

    fewbit_status describe(fewbit_plan_info &info, fewbit_error *error = nullptr) const noexcept {
        return fewbit_gemm_describe(get(), &info, error);
    }

private:
    struct Destroy {
        void operator()(fewbit_gemm *gemm) const noexcept { fewbit_gemm_destroy(gemm); }
    };
    std::unique_ptr<fewbit_gemm, Destroy> handle_;
};

/** What a convolution tells of itself; see fewbit_conv_info. */
struct ConvInfo {
    std::size_t out_dims[3] = {};
    std::size_t in_elements = 0;
    std::size_t out_elements = 0;
    char kernel_name[64] = {};
    std::int64_t bound = 0;
    std::size_t weight_bytes = 0;
};

/** An owned convolution: fewbit_conv_create and its destruction. */
class Conv {
public:
    /** Empty: converts to false, and calls are refused. */
    Conv() noexcept = default;
#if FEWBIT_HAS_EXCEPTIONS
    /** Throws Error. */
    explicit Conv(const fewbit_conv_desc &desc) {
        fewbit_error reason;
        fewbit_conv *conv = nullptr;
        check(fewbit_conv_create(&desc, &conv, &reason), &reason);
        handle_.reset(conv);
    }
#endif
    /** Empty on failure, the reason in `error`. */
    static Conv create(const fewbit_conv_desc &desc, fewbit_error *error = nullptr) noexcept {
        Conv made;
        fewbit_conv *conv = nullptr;
        if (fewbit_conv_create(&desc, &conv, error) == FEWBIT_OK) {
            made.handle_.reset(conv);
        }
        return made;
    }

    /** fewbit_conv_create_transposed; output_padding may be nullptr. Empty on failure, the reason in `error`. */
    static Conv create_transposed(const fewbit_conv_desc &desc, const std::size_t *output_padding = nullptr,
                                  fewbit_error *error = nullptr) noexcept {
        Conv made;
        fewbit_conv *plan = nullptr;
        if (fewbit_conv_create_transposed(&desc, output_padding, &plan, error) == FEWBIT_OK) {
            made.handle_.reset(plan);
        }
        return made;
    }

    /** fewbit_conv_create_packed: `packed` must outlive the plan. Empty on failure, the reason in `error`. */
    static Conv create_packed(const fewbit_conv_desc &desc, const void *packed, std::size_t packed_size,
                         fewbit_error *error = nullptr) noexcept {
        Conv made;
        fewbit_conv *plan = nullptr;
        if (fewbit_conv_create_packed(&desc, packed, packed_size, &plan, error) == FEWBIT_OK) {
            made.handle_.reset(plan);
        }
        return made;
    }

    explicit operator bool() const noexcept { return handle_ != nullptr; }
    const fewbit_conv *get() const noexcept { return handle_.get(); }

    fewbit_status packed_size(std::size_t &size, fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_packed_size(get(), &size, error);
    }
    fewbit_status save_packed(void *packed, std::size_t packed_size, fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_save_packed(get(), packed, packed_size, error);
    }

    fewbit_status workspace(std::size_t images, std::size_t max_workers, WorkspaceSize &needed,
                            fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_workspace(get(), images, max_workers, &needed.size, &needed.align, error);
    }

    /** fewbit_conv_run; parallel_for may be nullptr. */
    fewbit_status run(std::size_t images, const void *x, Workspace &workspace, void *y,
                      const fewbit_parallel_for *parallel_for = nullptr,
                      fewbit_error *error = nullptr) const noexcept {
        return run_with_residual(images, x, nullptr, workspace, y, parallel_for, error);
    }

    /// As run, for a plan with a residual.
    fewbit_status run_with_residual(std::size_t images, const void *x, const void *residual, Workspace &workspace,
                                    void *y, const fewbit_parallel_for *parallel_for = nullptr,
                                    fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_run(get(), images, x, residual, workspace.data(), workspace.size(), parallel_for, y,
                               error);
    }

    /** fewbit_conv_run_dynamic; residual may be nullptr without one, zero_points for the symmetric scheme. */
    fewbit_status run_dynamic(std::size_t images, const void *x, const void *residual, Workspace &workspace, void *y,
                              float *scales, std::int32_t *zero_points,
                              const fewbit_parallel_for *parallel_for = nullptr,
                              fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_run_dynamic(get(), images, x, residual, workspace.data(), workspace.size(), parallel_for, y,
                                       scales, zero_points, error);
    }

    fewbit_status describe(fewbit_plan_info &info, fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_describe(get(), &info, error);
    }

    fewbit_status info(ConvInfo &info, fewbit_error *error = nullptr) const noexcept {
        return fewbit_conv_info(get(), info.out_dims, &info.in_elements, &info.out_elements, info.kernel_name,
                                sizeof info.kernel_name, &info.bound, &info.weight_bytes, error);
    }

private:
    struct Destroy {
        void operator()(fewbit_conv *conv) const noexcept { fewbit_conv_destroy(conv); }
    };
    std::unique_ptr<fewbit_conv, Destroy> handle_;
};

} // namespace fewbit

#endif
