// Classifies handwritten digits with one network in f32, in several 8-bit formats, in 16 bits and in fewer than 8, side by
// side.
//
//   engine FOLDER [--digest]
//
// FOLDER holds model.safetensors, images.safetensors and digests.txt. --digest prints the digests of all
// logits only. The status is not 0 if a call fails, if int8 per channel loses more than half a point of
// accuracy or another format more than its row allows, if the results depend on batch size or threads, or if they are not
// those of digests.txt.

#include <fewbit.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "f32_network.hpp"
#include "few_network.hpp"
#include "int8_network.hpp"
#include "model.hpp"
#include "safetensors.hpp"

using namespace digits;

namespace {

constexpr std::size_t batch = 256;
constexpr std::size_t workers = 3;

const Format formats[] = {
    {"s8 symmetric per tensor", "s8 symmetric static", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_TENSOR, FEWBIT_INPUT_STATIC, FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC},
    {"s8 symmetric per channel", "s8 symmetric static", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_STATIC, FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC},
    {"s8 symmetric per channel", "u8 affine static", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_STATIC, FEWBIT_U8, FEWBIT_SCHEME_AFFINE},
    {"u8 affine per tensor", "u8 affine static", FEWBIT_U8, FEWBIT_SCHEME_AFFINE,
     FEWBIT_PER_TENSOR, FEWBIT_INPUT_STATIC, FEWBIT_U8, FEWBIT_SCHEME_AFFINE},
    {"u8 affine per channel", "u8 affine static", FEWBIT_U8, FEWBIT_SCHEME_AFFINE,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_STATIC, FEWBIT_U8, FEWBIT_SCHEME_AFFINE},
    {"s8 symmetric per channel", "s8 affine integers", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_CODES, FEWBIT_S8, FEWBIT_SCHEME_AFFINE},
    {"s8 symmetric per tensor", "s8 symmetric dynamic", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_TENSOR, FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC},
    {"s8 symmetric per channel", "s8 symmetric dynamic", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC},
    {"s8 symmetric per channel", "u8 affine dynamic", FEWBIT_S8, FEWBIT_SCHEME_SYMMETRIC,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_U8, FEWBIT_SCHEME_AFFINE},
    {"s8 affine per channel", "s8 affine dynamic", FEWBIT_S8, FEWBIT_SCHEME_AFFINE,
     FEWBIT_PER_AXIS, FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_S8, FEWBIT_SCHEME_AFFINE},
};

const FewFormat few_formats[] = {
    {"f16", "f16", FEWBIT_F16, 0, FEWBIT_F16, 0.0},
    {"bf16", "bf16", FEWBIT_BF16, 0, FEWBIT_BF16, 0.5},
    {"s4 per channel", "s8 symmetric dynamic", FEWBIT_S4, 0, FEWBIT_S4, 1.0},
    {"s4 per block of 32", "s8 symmetric dynamic", FEWBIT_S4, 32, FEWBIT_S4, 1.0},
    {"s2 per block, ends s8", "s8 symmetric dynamic", FEWBIT_S2, 32, FEWBIT_S8, 3.0},
    {"b1 per block, ends s8", "s8 symmetric dynamic", FEWBIT_B1, 32, FEWBIT_S8, 10.0},
};

struct Images {
    std::vector<float> x;
    std::vector<uint8_t> labels;
    std::size_t count = 0;
};

Images load_images(const std::string &path, const std::string &set, bool labelled) {
    const auto tensors = SafetensorsReader::read(path);
    Images images;
    for (uint8_t pixel : tensors.at(set + ".images").as<uint8_t>("U8"))
        images.x.push_back(float(pixel) / 16);
    images.count = images.x.size() / pixels;
    if (labelled) images.labels = tensors.at(set + ".labels").as<uint8_t>("U8");
    if (images.count == 0 || images.x.size() % pixels != 0 ||
        (labelled && images.labels.size() != images.count))
        throw std::runtime_error(path + ": " + set + " has an unexpected shape");
    return images;
}

// A caller's threads, as fewbit sees them. An engine would keep a pool; this starts threads each time.
void run_on_threads(void *, std::size_t count, fewbit_task task, void *arg) {
    std::atomic<std::size_t> next{0};
    const auto work = [&](std::size_t worker) {
        for (std::size_t i; (i = next.fetch_add(1)) < count;) task(arg, i, worker);
    };
    std::vector<std::thread> threads;
    for (std::size_t worker = 1; worker < workers; worker++) threads.emplace_back(work, worker);
    work(0);
    for (std::thread &thread : threads) thread.join();
}

// The logits of all images, `step` images at a time.
template <typename Run>
std::vector<float> classify(const Images &images, std::size_t step, Run run) {
    std::vector<float> logits(images.count * classes);
    for (std::size_t i = 0; i < images.count; i += step)
        run(&images.x[i * pixels], std::min(step, images.count - i), &logits[i * classes]);
    return logits;
}

struct Times {
    double run, reference;
};

// Microseconds per image, medians over repeats of `batch` images. Both runs take turns, so that their
// ratio holds on a machine that others use too.
template <typename Run, typename Reference>
Times time_per_image(const Images &images, std::size_t step, Run run, Reference reference) {
    using clock = std::chrono::steady_clock;
    std::vector<float> logits(step * classes);
    const auto time = [&](auto &each) {
        const auto begin = clock::now();
        for (std::size_t i = 0; i < batch; i += step) each(&images.x[i * pixels], step, logits.data());
        return std::chrono::duration<double, std::micro>(clock::now() - begin).count() / batch;
    };
    const auto median = [](std::vector<double> &times) {
        std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
        return times[times.size() / 2];
    };
    std::vector<double> times, reference_times;
    const auto end = clock::now() + std::chrono::milliseconds(400);
    while (times.size() < 5 || (times.size() < 101 && clock::now() < end)) {
        times.push_back(time(run));
        reference_times.push_back(time(reference));
    }
    return {median(times), median(reference_times)};
}

std::size_t best(const float *logits) {
    return std::size_t(std::max_element(logits, logits + classes) - logits);
}

// FNV-1a, 64 bits, over the numbers' bytes, least significant first.
uint64_t digest(const std::vector<float> &logits) {
    uint64_t hash = 0xcbf29ce484222325;
    for (float logit : logits) {
        uint32_t bits;
        std::memcpy(&bits, &logit, sizeof bits);
        for (int byte = 0; byte < 4; byte++)
            hash = (hash ^ (bits >> (8 * byte) & 0xff)) * 0x100000001b3;
    }
    return hash;
}

// The table and what goes below it, row by row.
struct Report {
    const Images &images;
    F32Network &f32;
    bool table;
    std::vector<float> reference{};  // the logits in f32
    std::string digests{}, failures{};

    void fail(const std::string &what) { failures += "FAILED: " + what + "\n"; }

    // Runs the held-out images, prints the row and gives the accuracy.
    template <typename Run>
    double row(const std::string &weights, const std::string &activations, std::size_t bytes, Run run) {
        const std::string name = activations.empty() ? weights : weights + ", " + activations;
        const std::vector<float> logits = classify(images, batch, run);
        if (reference.empty()) reference = logits;
        const uint64_t hash = digest(logits);
        if (digest(classify(images, 1, run)) != hash)
            fail(name + ": one image at a time gives other logits than many");

        std::size_t right = 0, same = 0;
        for (std::size_t i = 0; i < images.count; i++) {
            const std::size_t answer = best(&logits[i * classes]);
            right += answer == images.labels[i];
            same += answer == best(&reference[i * classes]);
        }
        const double accuracy = 100.0 * double(right) / double(images.count);
        fewbit_quality quality;
        check(fewbit_compare_f32(reference.data(), logits.data(), logits.size(), &quality),
              "fewbit_compare_f32");
        char text[160];
        std::snprintf(text, sizeof text, "digest %016" PRIx64 "  %s\n", hash, name.c_str());
        digests += text;
        if (!table) return accuracy;

        const auto plain = [this](const float *x, std::size_t n, float *y) { f32.run(x, n, y); };
        const auto [one, one_f32] = time_per_image(images, 1, run, plain);
        const auto [many, many_f32] = time_per_image(images, batch, run, plain);
        std::printf("%-25s %-21s %7.2f%% %7.2f%% %8.4f %6.1f %8zu %8.2f %5.2fx %8.2f %5.2fx\n",
                    weights.c_str(), activations.c_str(), accuracy,
                    100.0 * double(same) / double(images.count), quality.max_abs_error, quality.sqnr_db,
                    bytes, one, one_f32 / one, many, many_f32 / many);
        std::fflush(stdout);
        return accuracy;
    }
};

int run(const std::string &folder, bool table) {
    // Asked first, so that a wrong FEWBIT_ISA is explained.
    uint32_t isa = 0;
    fewbit_error error;
    check(fewbit_isa_enabled(&isa, &error), error);
    const std::vector<Layer> layers = load_model(folder + "/model.safetensors");
    const Images held_out = load_images(folder + "/images.safetensors", "heldout", true);
    if (held_out.count < 450) throw std::runtime_error("fewer than 450 held-out images");
    const Images calibration = load_images(folder + "/images.safetensors", "calibration", false);

    // Calibration: what each layer's input spans over images that training had.
    F32Network f32(layers);
    std::vector<fewbit_min_max> ranges(layers.size());
    for (fewbit_min_max &range : ranges) check(fewbit_min_max_init(&range), "fewbit_min_max_init");
    std::vector<float> logits(calibration.count * classes);
    f32.run(calibration.x.data(), calibration.count, logits.data(),
            [&](std::size_t layer, const float *x, std::size_t count) {
                check(fewbit_min_max_observe(x, count, &ranges[layer]), "fewbit_min_max_observe");
            });

    if (table) {
        std::printf("%zu held-out images, %zu for calibration; libfewbit %s on", held_out.count,
                    calibration.count, fewbit_version_string());
        for (uint32_t bit = 0; bit < 32; bit++)
            if (isa >> bit & 1) std::printf(" %s", fewbit_isa_name(bit));
        std::printf("%s\n\n", isa == 0 ? " scalar" : "");
        std::printf("%-25s %-21s %8s %8s %8s %6s %8s %15s %15s\n", "", "", "", "same", "largest",
                    "SQNR", "weight", "batch 1", "batch 256");
        std::printf("%-25s %-21s %8s %8s %8s %6s %8s %8s %6s %8s %6s\n", "weights", "activations",
                    "accuracy", "as f32", "error", "dB", "bytes", "us/image", "speed", "us/image",
                    "speed");
    }
    Report report{held_out, f32, table};
    const double reference =
        report.row("f32", "", f32.weight_bytes(),
                   [&](const float *x, std::size_t n, float *y) { f32.run(x, n, y); });
    std::set<std::string> kernels;
    const fewbit_parallel_for threads{nullptr, workers, run_on_threads, 0};
    // Runs a network in one format, alone and on threads; `most_lost`: points of accuracy that it may lose.
    const auto compare = [&](auto &network, const auto &format, double most_lost) {
        const auto alone = [&](const float *x, std::size_t n, float *y) { network.run(x, n, y); };
        const auto together = [&](const float *x, std::size_t n, float *y) { network.run(x, n, y, &threads); };
        const double accuracy =
            report.row(format.weights, format.activations, network.weight_bytes(), alone);
        const std::string name = std::string(format.weights) + ", " + format.activations;
        if (accuracy < reference - most_lost) {
            char points[48];
            std::snprintf(points, sizeof points, ": more than %.1f points below f32", most_lost);
            report.fail(name + points);
        }
        if (digest(classify(held_out, batch, alone)) != digest(classify(held_out, batch, together)))
            report.fail(name + ": threads give other logits");
        kernels.insert(network.kernels().begin(), network.kernels().end());
    };
    for (const Format &format : formats) {
        Int8Network network(layers, format, ranges, batch, workers);
        compare(network, format, format.granularity == FEWBIT_PER_AXIS ? 0.5 : 100.0);
    }
    for (const FewFormat &format : few_formats) {
        FewNetwork network(layers, format, calibration.x.data(), calibration.count, batch, workers);
        compare(network, format, format.most_lost);
    }

    if (table) {
        std::printf("\n"
                    "speed: times as fast as f32, which is the engine's own loops; less than 1 is slower. One\n"
                    "thread, medians, f32 in turns with each row. static: ranges from calibration, codes from\n"
                    "layer to layer; integers: the same, the image quantized once, sums to codes in fixed point,\n"
                    "no f32 until the logits; dynamic: a range for each image and layer, f32 from layer to layer.\n"
                    "Below: convolutions unfolded into linear layers; dynamic: a range for each pixel's taps; ends:\n"
                    "the first and the last layer. Factors and biases of codes are fitted to calibration images.\n"
                    "kernels:");
        for (const std::string &kernel : kernels) std::printf(" %s", kernel.c_str());
        std::printf("\n\nall logits, the same bits on every CPU, instruction set, batch size and thread count:\n");
    }
    std::printf("%s", report.digests.c_str());

    std::ifstream file(folder + "/digests.txt");
    const std::string expected{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (expected != report.digests) report.fail("the digests are not those of digests.txt");
    std::fprintf(stderr, "%s", report.failures.c_str());
    return report.failures.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char **arguments) {
    const bool digests_only = count == 3 && std::string(arguments[2]) == "--digest";
    if (count < 2 || (count > 2 && !digests_only)) {
        std::fprintf(stderr, "usage: %s FOLDER [--digest]\n", arguments[0]);
        return 2;
    }
    try {
        return run(arguments[1], !digests_only);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "FAILED: %s\n", error.what());
        return 1;
    }
}
