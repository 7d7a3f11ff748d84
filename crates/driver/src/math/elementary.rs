//! Logarithms, hyperbolic functions and the cube root, after fdlibm.

/*
 * ====================================================
 * Copyright (C) 1993, 2004 by Sun Microsystems, Inc. All rights reserved.
 *
 * Permission to use, copy, modify, and distribute this
 * software is freely granted, provided that this notice
 * is preserved.
 * ====================================================
 */

#![expect(
    clippy::excessive_precision,
    reason = "constants as fdlibm writes them"
)]

use super::logarithm::log1p;
use super::{high, with_high};

/// The exponential function; of 1, it is e itself.
pub fn exp(x: f64) -> f64 {
    if x == 1.0 {
        std::f64::consts::E
    } else {
        libm::exp(x)
    }
}

/// Natural logarithm.
pub fn log(mut x: f64) -> f64 {
    const LN2_HI: f64 = 6.93147180369123816490e-01;
    const LN2_LO: f64 = 1.90821492927058770002e-10;
    const LG1: f64 = 6.666666666666735130e-01;
    const LG2: f64 = 3.999999999940941908e-01;
    const LG3: f64 = 2.857142874366239149e-01;
    const LG4: f64 = 2.222219843214978396e-01;
    const LG5: f64 = 1.818357216161805012e-01;
    const LG6: f64 = 1.531383769920937332e-01;
    const LG7: f64 = 1.479819860511658591e-01;

    let mut hx = high(x);
    let mut k = 0_i32;
    if hx < 0x0010_0000 {
        if x == 0.0 {
            return f64::NEG_INFINITY;
        }
        if hx < 0 {
            return f64::NAN;
        }
        k -= 54;
        x *= TWO54;
        hx = high(x);
    }
    if hx >= 0x7ff0_0000 {
        return x + x;
    }
    k += (hx >> 20) - 1023;
    hx &= 0x000f_ffff;
    let i = (hx + 0x95f64) & 0x0010_0000;
    x = with_high(x, hx | (i ^ 0x3ff0_0000));
    k += i >> 20;
    let dk = f64::from(k);
    let f = x - 1.0;
    if (0x000f_ffff & (2 + hx)) < 3 {
        if f == 0.0 {
            return if k == 0 {
                0.0
            } else {
                dk * LN2_HI + dk * LN2_LO
            };
        }
        let r = f * f * (0.5 - 0.333_333_333_333_333_33 * f);
        return if k == 0 {
            f - r
        } else {
            dk * LN2_HI - ((r - dk * LN2_LO) - f)
        };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let t1 = w * (LG2 + w * (LG4 + w * LG6));
    let t2 = z * (LG1 + w * (LG3 + w * (LG5 + w * LG7)));
    let r = t2 + t1;
    if (hx - 0x6147a) | (0x6b851 - hx) > 0 {
        let hfsq = 0.5 * f * f;
        if k == 0 {
            f - (hfsq - s * (hfsq + r))
        } else {
            dk * LN2_HI - ((hfsq - (s * (hfsq + r) + dk * LN2_LO)) - f)
        }
    } else if k == 0 {
        f - s * (f - r)
    } else {
        dk * LN2_HI - ((s * (f - r) - dk * LN2_LO) - f)
    }
}

/// Logarithm to base 10.
pub fn log10(mut x: f64) -> f64 {
    const IVLN10: f64 = std::f64::consts::LOG10_E;
    const LOG10_2HI: f64 = 3.01029995663611771306e-01;
    const LOG10_2LO: f64 = 3.69423907715893078616e-13;

    let mut hx = high(x);
    let mut k = 0_i32;
    if hx < 0x0010_0000 {
        if x == 0.0 {
            return f64::NEG_INFINITY;
        }
        if hx < 0 {
            return f64::NAN;
        }
        k -= 54;
        x *= TWO54;
        hx = high(x);
    }
    if hx >= 0x7ff0_0000 {
        return x + x;
    }
    if x == 1.0 {
        return 0.0;
    }
    k += (hx >> 20) - 1023;
    let i = i32::from(k < 0);
    hx = (hx & 0x000f_ffff) | ((0x3ff - i) << 20);
    let y = f64::from(k + i);
    x = with_high(x, hx);
    let z = y * LOG10_2LO + IVLN10 * log(x);
    z + y * LOG10_2HI
}

/// Hyperbolic cosine.
pub fn cosh(x: f64) -> f64 {
    const OVERFLOW: f64 = 710.475_860_073_943_9;
    let a = x.abs();
    let ix = high(x) & 0x7fff_ffff;
    if a < 22.0 {
        if ix < 0x3fd6_2e43 {
            let t = libm::expm1(a);
            let w = 1.0 + t;
            if ix < 0x3c80_0000 {
                return w;
            }
            return 1.0 + (t * t) / (w + w);
        }
        let t = exp(a);
        return 0.5 * t + 0.5 / t;
    }
    if a < 709.782_712_893_384 {
        return 0.5 * exp(a);
    }
    if a <= OVERFLOW {
        let w = exp(0.5 * a);
        return 0.5 * w * w;
    }
    x * x
}

/// Hyperbolic sine.
pub fn sinh(x: f64) -> f64 {
    const OVERFLOW: f64 = 710.475_860_073_943_9;
    let a = x.abs();
    let h = if x < 0.0 { -0.5 } else { 0.5 };
    if a < 22.0 {
        if a < 3.725_290_298_461_914e-9 {
            return x;
        }
        let t = libm::expm1(a);
        if a < 1.0 {
            return h * (2.0 * t - t * t / (t + 1.0));
        }
        return h * (t + t / (t + 1.0));
    }
    if a < 709.782_712_893_384 {
        return h * exp(a);
    }
    if a <= OVERFLOW {
        let w = exp(0.5 * a);
        return h * w * w;
    }
    x * f64::INFINITY
}

/// Hyperbolic tangent.
pub fn tanh(x: f64) -> f64 {
    if x.is_nan() || x == 0.0 {
        return x;
    }
    let a = x.abs();
    let z = if a < 22.0 {
        if a < 3.725_290_298_461_914e-9 {
            return x * (1.0 + x);
        }
        if a >= 1.0 {
            let t = libm::expm1(2.0 * a);
            1.0 - 2.0 / (t + 2.0)
        } else {
            let t = libm::expm1(-2.0 * a);
            -t / (t + 2.0)
        }
    } else {
        1.0
    };
    if x >= 0.0 { z } else { -z }
}

/// Inverse hyperbolic sine.
pub fn asinh(x: f64) -> f64 {
    const LN2: f64 = std::f64::consts::LN_2;
    let a = x.abs();
    if !x.is_finite() || a < 3.725_290_298_461_914e-9 {
        return x;
    }
    let w = if a > 268_435_456.0 {
        log(a) + LN2
    } else if a > 2.0 {
        log(2.0 * a + 1.0 / ((x * x + 1.0).sqrt() + a))
    } else {
        let t = x * x;
        log1p(a + t / (1.0 + (1.0 + t).sqrt()))
    };
    if x > 0.0 { w } else { -w }
}

/// Inverse hyperbolic cosine.
pub fn acosh(x: f64) -> f64 {
    const LN2: f64 = std::f64::consts::LN_2;
    if x < 1.0 || x.is_nan() {
        f64::NAN
    } else if x >= 268_435_456.0 {
        if x.is_infinite() { x } else { log(x) + LN2 }
    } else if x == 1.0 {
        0.0
    } else if x > 2.0 {
        let t = x * x;
        log(2.0 * x - 1.0 / (x + (t - 1.0).sqrt()))
    } else {
        let t = x - 1.0;
        log1p(t + (2.0 * t + t * t).sqrt())
    }
}

/// Cube root.
pub fn cbrt(x: f64) -> f64 {
    const B1: u32 = 715_094_163;
    const B2: u32 = 696_219_795;
    const P0: f64 = 1.87595182427177009643;
    const P1: f64 = -1.88497979543377169875;
    const P2: f64 = 1.621429720105354466140;
    const P3: f64 = -0.758397934778766047437;
    const P4: f64 = 0.145996192886612446982;
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    let sign = (high(x) as u32) & 0x8000_0000;
    let hx = (high(x) as u32) & 0x7fff_ffff;
    let start = if hx < 0x0010_0000 {
        ((high(x * TWO54) as u32 & 0x7fff_ffff) / 3) + B2
    } else {
        hx / 3 + B1
    };
    let mut t = f64::from_bits(u64::from(sign | start) << 32);
    let r = (t * t) * (t / x);
    t *= (P0 + r * (P1 + r * P2)) + ((r * r) * r) * (P3 + r * P4);
    t = f64::from_bits(t.to_bits().wrapping_add(0x8000_0000) & 0xffff_ffff_c000_0000);
    let s = t * t;
    let mut r = x / s;
    let w = t + t;
    r = (r - t) / (w + r);
    t + t * r
}

const TWO54: f64 = 18_014_398_509_481_984.0;
