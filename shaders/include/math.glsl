// Functions whose accuracy Vulkan leaves to the driver, by arithmetic alone: within about 2e-7 of the
// result (exp, sigmoid, tanh, erfc), or of one (sine, cosine). NaN in, NaN out.
#ifndef TENON_SHADERS_MATH_GLSL
#define TENON_SHADERS_MATH_GLSL

bool is_nan(float x) {
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

#define NOT_A_NUMBER uintBitsToFloat(0x7fc00000u)
#define INFINITE uintBitsToFloat(0x7f800000u)

// e^x; below the smallest normal number 0.
float exp_of(float x) {
    // Outside, the answer is 0 or infinity all the same.
    const float bounded = clamp(x, -104.0, 104.0);
    precise const float k = roundEven(bounded * 1.44269504);
    // ln 2 in two parts: k times the first, of 15 bits, is exact.
    precise float r = bounded - k * 0.693145752;
    r -= k * 1.42860677e-6;
    precise const float p = 0.5 + r * (0.166665122 + r * (0.0416661873 + r * (0.0083695985 + r * 0.00139517174)));
    precise const float e = 1.0 + (r + r * r * p);
    // 2^k as a product of two normal numbers.
    const int first = int(k) >> 1;
    const int second = int(k) - first;
    precise const float scaled =
        e * uintBitsToFloat(uint(first + 127) << 23) * uintBitsToFloat(uint(second + 127) << 23);
    return is_nan(x) ? x : scaled;
}

// 1 / (1 + e^-x)
float sigmoid_of(float x) {
    const float e = exp_of(-abs(x));
    const float s = 1.0 / (1.0 + e);
    return x >= 0.0 ? s : e * s;
}

float tanh_of(float x) {
    const float u = x * x;
    const float near =
        x + x * u * (-0.333332837 + u * (0.133314908 + u * (-0.0537434965 + u * (0.0206505787 - u * 0.00571703678))));
    const float far = 1.0 - 2.0 / (exp_of(2.0 * abs(x)) + 1.0);
    return abs(x) < 0.625 ? near : (x < 0.0 ? -far : far);
}

// 2 / sqrt(pi) times the integral of e^(-s^2) from z on, for z >= 0.
float erfc_of(float z) {
    const float t = 1.0 / (1.0 + 0.5 * z);
    const float p = 0.282067806 + t * (0.282787144 + t * (0.239268959 + t * (0.22244367 + t * (-0.0888699219 +
                    t * (0.402863652 + t * (-0.647022307 + t * (0.411108613 + t * (-0.115461744 + t * 0.0108140865))))))));
    return t * p * exp_of(-z * z);
}

// (cosine, sine) of an angle in radians; NaN from 2^32 on.
//
// The angle is a 24-bit integer times a power of two. Times 64 bits of 1 / 2 pi it gives the part of a
// turn in 32 bits, exactly enough at every magnitude.
vec2 cosine_and_sine(float angle) {
    const uint bits = floatBitsToUint(angle);
    const int exponent = int((bits >> 23) & 255u) - 127;
    const uint mantissa = ((bits & 0x007fffffu) | 0x00800000u) << 8;
    uint high, middle, unused;
    umulExtended(mantissa, 0x28be60dbu, high, middle);
    uint carried;
    umulExtended(mantissa, 0x9391054au, carried, unused);
    uint carry;
    middle = uaddCarry(middle, carried, carry);
    high += carry;
    // Bits 94 - exponent and below of the 96-bit product are the fraction.
    const int down = 31 - exponent;
    uint turn = 0u;
    if (down >= 32) {
        turn = down < 64 ? high >> (down - 32) : 0u;
    } else if (down > 0) {
        turn = (middle >> down) | (high << (32 - down));
    } else {
        turn = middle;
    }
    const uint quadrant = (turn + 0x20000000u) >> 30;
    const float r = float(int(turn - (quadrant << 30))) * 1.46291808e-9; // 2 pi / 2^32
    const float u = r * r;
    const float s = r + r * u * (-0.166666672 + u * (0.00833332818 + u * (-0.000198390349 + u * 2.7159349e-6)));
    const float c = 1.0 - 0.5 * u + u * u * (0.0416664556 + u * (-0.00138873619 + u * 2.44377279e-5));
    const bool swapped = (quadrant & 1u) != 0u;
    float cosine = swapped ? s : c;
    float sine = swapped ? c : s;
    if (((quadrant + 1u) & 2u) != 0u) cosine = -cosine;
    if ((quadrant & 2u) != 0u) sine = -sine;
    if ((bits >> 31) != 0u) sine = -sine;
    return exponent > 31 ? vec2(NOT_A_NUMBER) : vec2(cosine, sine);
}

// A tenon_activation of x; an unknown number is the identity.
float activate(float x, uint activation) {
    switch (activation) {
        case 1: return x * sigmoid_of(x);
        case 2: {
            // 0.5 (1 + tanh(u)) = sigmoid(2 u); 2 sqrt(2 / pi)
            const float u = 1.59576912 * (x + 0.044715 * x * x * x);
            return x * sigmoid_of(u);
        }
        case 3: {
            const float tail = 0.5 * erfc_of(abs(x) * 0.707106781);
            return x * (x < 0.0 ? tail : 1.0 - tail);
        }
        default: return x;
    }
}

#endif
