/* What the loops of a compiled step call.  Compiled without contraction and without fast-math:
   NaN, infinities and the sign of zero are those of NumPy. */
#include <math.h>

#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define IVDEP _Pragma("GCC ivdep")
#else
#define IVDEP
#endif

typedef long long i64;
typedef void (*sgemm_t)(int, int, int, i64, i64, i64, float, const float *, i64, const float *, i64,
                        float, float *, i64);
typedef void (*dgemm_t)(int, int, int, i64, i64, i64, double, const double *, i64, const double *,
                        i64, double, double *, i64);
static sgemm_t sgemm;
static dgemm_t dgemm;

void use_blas(void **table) {
    sgemm = (sgemm_t)table[0];
    dgemm = (dgemm_t)table[1];
}

/* y = a b, row by row: few rows do not pay for a call of BLAS, and there may be no BLAS. */
#define DEFINE_GEMM(TYPE, BLAS)                                                                     \
    static void rows_##TYPE(int m, int n, int k, const TYPE *a, int la, int ta, const TYPE *b,      \
                            int lb, int tb, TYPE *y, int ly) {                                      \
        for (int i = 0; i < m; i++) {                                                               \
            TYPE *restrict row = y + (i64)i * ly;                                                   \
            if (tb) {                                                                               \
                for (int j = 0; j < n; j++) {                                                       \
                    TYPE sum = 0;                                                                   \
                    for (int l = 0; l < k; l++)                                                     \
                        sum += (ta ? a[(i64)l * la + i] : a[(i64)i * la + l]) * b[(i64)j * lb + l]; \
                    row[j] = sum;                                                                   \
                }                                                                                   \
                continue;                                                                           \
            }                                                                                       \
            for (int j = 0; j < n; j++) row[j] = 0;                                                 \
            for (int l = 0; l < k; l++) {                                                           \
                const TYPE s = ta ? a[(i64)l * la + i] : a[(i64)i * la + l];                        \
                const TYPE *restrict other = b + (i64)l * lb;                                       \
                for (int j = 0; j < n; j++) row[j] += s * other[j];                                 \
            }                                                                                       \
        }                                                                                           \
    }                                                                                               \
    static void gemm_##TYPE(int m, int n, int k, const TYPE *a, int la, int ta, const TYPE *b,      \
                            int lb, int tb, TYPE *y, int ly) {                                      \
        if (m == 1 || !BLAS)                                                                        \
            rows_##TYPE(m, n, k, a, la, ta, b, lb, tb, y, ly);                                      \
        else                                                                                        \
            BLAS(101, ta ? 112 : 111, tb ? 112 : 111, m, n, k, 1, a, la, b, lb, 0, y, ly);          \
    }

DEFINE_GEMM(float, sgemm)
DEFINE_GEMM(double, dgemm)

/* eˣ to 1 ulp: x = n ln 2 + r, a polynomial in r (Cephes), and 2ⁿ in two factors, so that results
   below the smallest normal number come out right. */
static inline float power_of_two(int n) {
    union { int i; float f; } u;
    u.i = (n + 127) << 23;
    return u.f;
}

static inline float exp_float(float x) {
    float z = x > 89.0f ? 89.0f : x;
    z = z < -104.0f ? -104.0f : z;
    float n = z * 1.44269504088896341f;
    n = (n + 12582912.0f) - 12582912.0f;
    float r = z - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int whole = (int)(n == n ? n : 0.0f);
    int half = whole >> 1;
    return p * power_of_two(half) * power_of_two(whole - half);
}

static inline float sigmoid_float(float x) {
    float e = exp_float(x > 40.0f ? 40.0f : x);
    return e / (1.0f + e);
}

/* tanh to 2 ulp: a polynomial near 0 (Cephes), else by eˣ. */
static inline float tanh_float(float x) {
    float a = fabsf(x);
    float s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s + -5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s + -3.33332819422e-1f;
    float near = p * s * a + a;
    float far = 1.0f - 2.0f / (exp_float(a + a) + 1.0f);
    return copysignf(a < 0.625f ? near : far, x);
}

static inline double exp_double(double x) { return exp(x); }
static inline double tanh_double(double x) { return tanh(x); }
static inline double sigmoid_double(double x) {
    double e = exp(x > 40.0 ? 40.0 : x);
    return e / (1.0 + e);
}

#define DEFINE_FUNCTIONS(TYPE, F)                                                                   \
    static inline TYPE log_##TYPE(TYPE x) { return log##F(x); }                                     \
    static inline TYPE sqrt_##TYPE(TYPE x) { return sqrt##F(x); }                                   \
    static inline TYPE sin_##TYPE(TYPE x) { return sin##F(x); }                                     \
    static inline TYPE cos_##TYPE(TYPE x) { return cos##F(x); }                                     \
    static inline TYPE sinh_##TYPE(TYPE x) { return sinh##F(x); }                                   \
    static inline TYPE cosh_##TYPE(TYPE x) { return cosh##F(x); }                                   \
    static inline TYPE arctan_##TYPE(TYPE x) { return atan##F(x); }                                 \
    static inline TYPE hypot_##TYPE(TYPE a, TYPE b) { return hypot##F(a, b); }                      \
    static inline TYPE absolute_##TYPE(TYPE x) { return fabs##F(x); }                               \
    static inline TYPE log1p_##TYPE(TYPE x) { return log1p##F(x); }                                 \
    static inline TYPE expm1_##TYPE(TYPE x) { return expm1##F(x); }                                 \
    static inline TYPE square_##TYPE(TYPE x) { return x * x; }                                      \
    static inline TYPE sign_##TYPE(TYPE x) {                                                        \
        return x != x ? x : (TYPE)((x > 0) - (x < 0));                                              \
    }                                                                                               \
    static inline TYPE maximum_##TYPE(TYPE a, TYPE b) { return a >= b || a != a ? a : b; }          \
    static inline TYPE minimum_##TYPE(TYPE a, TYPE b) { return a <= b || a != a ? a : b; }          \
    static inline TYPE clip_##TYPE(TYPE x, TYPE low, TYPE high) {                                   \
        return minimum_##TYPE(maximum_##TYPE(x, low), high);                                        \
    }                                                                                               \
    static inline TYPE relu_##TYPE(TYPE x) { return x > 0 || x != x ? x : 0; }                      \
    static inline TYPE softplus_##TYPE(TYPE x) {                                                    \
        if (x != x) return x;                                                                       \
        return x > 0 ? x + log1p##F(exp##F(-x)) : log1p##F(exp##F(x));                              \
    }                                                                                               \
    static inline unsigned char isnan_##TYPE(TYPE x) { return x != x; }                             \
    static inline unsigned char isinf_##TYPE(TYPE x) { return x == INFINITY || x == -INFINITY; }    \
    static inline unsigned char isfinite_##TYPE(TYPE x) { return x - x == 0; }

DEFINE_FUNCTIONS(float, f)
DEFINE_FUNCTIONS(double, )
