#include <fewbit.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const float w[2][3] = {{0.5f, -1.0f, 0.25f}, {40.0f, 10.0f, 20.0f}}; /* 2 outputs, 3 inputs */
    const float x[2][3] = {{1.0f, 2.0f, 3.0f}, {-0.1f, 0.0f, 0.3f}};     /* 2 rows */
    float scales[2], y[2][2];
    int8_t codes[2][3];
    fewbit_error err;
    fewbit_linear *linear = NULL;
    size_t size = 0, align = 1;

    fewbit_shape shape = FEWBIT_SHAPE_INIT;
    shape.rank = 2, shape.dims[0] = 2, shape.dims[1] = 3;
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT; /* int8, a scale for each output: */
    spec.scheme = FEWBIT_SCHEME_SYMMETRIC, spec.granularity = FEWBIT_PER_AXIS;
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT; /* f32 in, int8 row by row, f32 out: */
    desc.in_features = 3, desc.out_features = 2, desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
    desc.weights.data = codes, desc.weights.scales = scales, desc.weights.scale_count = 2;
    if (fewbit_choose_params(w[0], &shape, &spec, scales, NULL, 2, &err) != FEWBIT_OK ||
        fewbit_quantize(w[0], &shape, &spec, scales, NULL, 2, codes, &shape, &err) != FEWBIT_OK ||
        fewbit_linear_create(&desc, &linear, &err) != FEWBIT_OK ||
        fewbit_linear_workspace(linear, 2, 1, &size, &align, &err) != FEWBIT_OK)
        return puts(err.message), 1;

    char *memory = malloc(size + align);
    if (memory == NULL) return 1;
    char *workspace = memory + (align - (uintptr_t)memory % align);
    if (fewbit_linear_run(linear, 2, x[0], 3, workspace, size, NULL, y[0], 2, &err) != FEWBIT_OK)
        return puts(err.message), 1;
    printf("%.3f %.3f  (exact: -0.750 120)\n", y[0][0], y[0][1]);
    printf("%.3f %.3f  (exact: 0.025 2)\n", y[1][0], y[1][1]);
    free(memory);
    fewbit_linear_destroy(linear);
    return 0;
}
