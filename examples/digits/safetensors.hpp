// Reads the safetensors format: 8 bytes length of the header (little endian), the header in JSON, the
// tensors' bytes. Of JSON, what such headers hold: objects, strings without escapes, lists of sizes.
#pragma once

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace digits {

struct Tensor {
    std::string dtype;
    std::vector<std::size_t> shape;
    std::vector<char> bytes;

    // The elements as T, which must be of the size that dtype says.
    template <typename T>
    std::vector<T> as(const char *expected) const {
        std::size_t count = 1;
        for (std::size_t dim : shape) {
            if (dim != 0 && count > bytes.size() / dim) throw std::runtime_error("a shape is too large");
            count *= dim;
        }
        if (dtype != expected || bytes.size() != count * sizeof(T))
            throw std::runtime_error("a tensor is not " + std::string(expected));
        std::vector<T> elements(count);
        if (count != 0) std::memcpy(elements.data(), bytes.data(), bytes.size());
        return elements;
    }
};

class SafetensorsReader {
public:
    static std::map<std::string, Tensor> read(const std::string &path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw std::runtime_error("cannot open " + path);
        std::vector<char> all{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        std::uint64_t length = 0;
        for (std::size_t i = 0; i < 8 && i < all.size(); i++)
            length |= std::uint64_t(static_cast<unsigned char>(all[i])) << (8 * i);
        if (all.size() < 8 || length > all.size() - 8)
            throw std::runtime_error(path + " is not a safetensors file");
        try {
            return SafetensorsReader(all.data() + 8, all.data() + 8 + length, all.data() + all.size())
                .tensors();
        } catch (const std::runtime_error &error) {
            throw std::runtime_error(path + ": " + error.what());
        }
    }

private:
    SafetensorsReader(const char *header, const char *header_end, const char *body_end)
        : at(header), end(header_end), file_end(body_end) {}

    std::map<std::string, Tensor> tensors() {
        std::map<std::string, Tensor> all;
        members([&](const std::string &name) {
            Tensor tensor;
            std::vector<std::size_t> offsets{0, 0};
            members([&](const std::string &key) {
                if (key == "dtype") tensor.dtype = string();
                else if (key == "shape") tensor.shape = sizes();
                else if (key == "data_offsets") offsets = sizes();
                else string();  // the texts of __metadata__
            });
            if (name == "__metadata__") return;
            if (offsets.size() != 2 || offsets[0] > offsets[1] ||
                offsets[1] > std::size_t(file_end - end))
                throw std::runtime_error(name + " lies outside the file");
            tensor.bytes.assign(end + offsets[0], end + offsets[1]);
            all.emplace(name, std::move(tensor));
        });
        return all;
    }

    template <typename Member>
    void members(Member member) {
        expect('{');
        if (accept('}')) return;
        do {
            std::string name = string();
            expect(':');
            member(name);
        } while (accept(','));
        expect('}');
    }

    std::string string() {
        expect('"');
        const char *begin = at;
        while (at < end && *at != '"' && *at != '\\') at++;
        std::string text(begin, at);
        if (at == end || *at++ != '"') throw std::runtime_error("the header has an unusual string");
        return text;
    }

    std::vector<std::size_t> sizes() {
        std::vector<std::size_t> all;
        expect('[');
        if (accept(']')) return all;
        do {
            std::size_t value = 0, figures = 0;
            for (skip(); at < end && std::isdigit(static_cast<unsigned char>(*at)); figures++)
                value = value * 10 + std::size_t(*at++ - '0');
            if (figures == 0 || figures > 15) throw std::runtime_error("the header has no size");
            all.push_back(value);
        } while (accept(','));
        expect(']');
        return all;
    }

    void skip() {
        while (at < end && std::isspace(static_cast<unsigned char>(*at))) at++;
    }
    bool accept(char wanted) {
        skip();
        return at < end && *at == wanted && (at++, true);
    }
    void expect(char wanted) {
        if (!accept(wanted)) throw std::runtime_error(std::string("the header lacks ") + wanted);
    }

    const char *at, *end, *file_end;
};

}  // namespace digits
