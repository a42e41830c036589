#include <fewbit.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const float w[2][3] = {{0.5f, -1.0f, 0.25f}, {40.0f, 10.0f, 20.0f}}, x[3] = {1.0f, 2.0f, 3.0f};
    int8_t codes[2][3];
    float scales[2], y[2];
    size_t size, align;
    fewbit_error err;
    fewbit_linear *linear;
    fewbit_shape shape = FEWBIT_SHAPE_INIT;
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT; /* int8, a scale for each output: */
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;   /* f32 in, int8 row by row, f32 out: */
    shape.rank = 2, shape.dims[0] = 2, shape.dims[1] = 3;
    spec.scheme = FEWBIT_SCHEME_SYMMETRIC, spec.granularity = FEWBIT_PER_AXIS;
    desc.in_features = 3, desc.out_features = 2, desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
    desc.weights.data = codes, desc.weights.scales = scales, desc.weights.scale_count = 2;
    if (fewbit_choose_params(w[0], &shape, &spec, scales, NULL, 2, &err) ||
        fewbit_quantize(w[0], &shape, &spec, scales, NULL, 2, NULL, codes, &shape, &err) ||
        fewbit_linear_create(&desc, &linear, &err) ||
        fewbit_linear_workspace(linear, 1, 1, &size, &align, &err))
        return puts(err.message), 1;
    void *memory = aligned_alloc(align, size);
    if (memory == NULL || fewbit_linear_run(linear, 1, x, 3, memory, size, NULL, y, 2, NULL)) return 1;
    printf("%.3f %.3f  (exact: -0.750 120)\n", y[0], y[1]);
    fewbit_linear_destroy(linear);
    free(memory);
    return 0;
}
