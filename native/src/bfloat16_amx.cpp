// Products of bfloat16 on AMX tiles, which are registers of 16 lines of 64 bytes.
#include <immintrin.h>

#include "bfloat16.hpp"

namespace {

struct alignas(64) Configuration {
    uint8_t palette = 1, first_row = 0, reserved[14] = {};
    uint16_t line[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

constexpr Configuration whole_tiles;

void begin() { _tile_loadconfig(&whole_tiles); }

void end() { _tile_release(); }

// Tiles 0 to 3 are the sums, 4 and 5 the panels of A, 6 and 7 those of B.
template <int high, int wide>
void multiply(const Bfloat16Tile& t) {
    const uint16_t *a = t.a, *b = t.b;
    float* const lower = t.c + panel_size * t.c_row;
    const ptrdiff_t row = t.c_row * (ptrdiff_t)sizeof(float);
    if (t.add) {
        _tile_loadd(0, t.c, row);
        if constexpr (wide > 1) _tile_loadd(1, t.c + panel_size, row);
        if constexpr (high > 1) _tile_loadd(2, lower, row);
        if constexpr (high > 1 && wide > 1) _tile_loadd(3, lower + panel_size, row);
    } else {
        _tile_zero(0);
        if constexpr (wide > 1) _tile_zero(1);
        if constexpr (high > 1) _tile_zero(2);
        if constexpr (high > 1 && wide > 1) _tile_zero(3);
    }
    for (ptrdiff_t s = 0; s < t.steps; s++, a += step_size, b += step_size) {
        _tile_loadd(6, b, 64);
        _tile_loadd(4, a, 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (wide > 1) {
            _tile_loadd(7, b + t.b_panel, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (high > 1) {
            _tile_loadd(5, a + t.a_panel, 64);
            _tile_dpbf16ps(2, 5, 6);
        }
        if constexpr (high > 1 && wide > 1) _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, t.c, row);
    if constexpr (wide > 1) _tile_stored(1, t.c + panel_size, row);
    if constexpr (high > 1) _tile_stored(2, lower, row);
    if constexpr (high > 1 && wide > 1) _tile_stored(3, lower + panel_size, row);
}

void tile(const Bfloat16Tile& t) {
    if (t.high > 1)
        t.wide > 1 ? multiply<2, 2>(t) : multiply<2, 1>(t);
    else
        t.wide > 1 ? multiply<1, 2>(t) : multiply<1, 1>(t);
}

}  // namespace

const Bfloat16 bfloat16_amx = {"amx", begin, tile, end, largest_block};  // such processors have 2 MB for each core
