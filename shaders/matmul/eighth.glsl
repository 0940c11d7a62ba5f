// Columns 8 * eighth and up of a block, for the tile of an invocation. EIGHT_OF(t, first, second) sets
// those of x of its token t.
vec4 x0[TOKENS], x1[TOKENS];
[[unroll]] for (uint t = 0; t < TOKENS; ++t)
    EIGHT_OF(t, x0[t], x1[t]);
[[unroll]] for (uint j = 0; j < LANES; ++j) {
    vec4 w0, w1;
    decode_eight(j / ROWS, w[j], min(row0 + j % ROWS, params.rows - 1), block, eighth, w0, w1);
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
        precise float p = part[j * TOKENS + t];
        p = fma(w0.x, x0[t].x, p);
        p = fma(w0.y, x0[t].y, p);
        p = fma(w0.z, x0[t].z, p);
        p = fma(w0.w, x0[t].w, p);
        p = fma(w1.x, x1[t].x, p);
        p = fma(w1.y, x1[t].y, p);
        p = fma(w1.z, x1[t].z, p);
        p = fma(w1.w, x1[t].w, p);
        part[j * TOKENS + t] = p;
    }
}
