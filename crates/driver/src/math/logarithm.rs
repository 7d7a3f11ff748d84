//! `log1p`, and what rests on it.

use super::{high, with_high};

const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Of the polynomial for log(1+f), from the highest power down.
const COEFFICIENTS: [f64; 7] = [
    0.147_981_986_051_165_86,
    0.153_138_376_992_093_73,
    0.181_835_721_616_180_5,
    0.222_221_984_321_497_84,
    0.285_714_287_436_623_9,
    0.399_999_999_994_094_2,
    0.666_666_666_666_673_5,
];

/// ln(1 + x).
pub fn log1p(x: f64) -> f64 {
    let top = high(x);
    let magnitude = top & 0x7fff_ffff;
    if top < 0x3fda_827a {
        if magnitude >= 0x3ff0_0000 {
            return if x == -1.0 {
                f64::NEG_INFINITY
            } else {
                f64::NAN
            };
        }
        if magnitude < 0x3e20_0000 {
            return if magnitude < 0x3c90_0000 {
                x
            } else {
                x - x * x * 0.5
            };
        }
        // 1 + x lies between sqrt(2)/2 and sqrt(2): nothing to scale.
        if top > 0 || top <= 0xbfd2_bec4_u32 as i32 {
            return near_one(x, false, 0, 0.0);
        }
    }
    if top >= 0x7ff0_0000 {
        return x + x;
    }
    let (sum, mut exponent, lost) = if top < 0x4340_0000 {
        let sum = 1.0 + x;
        let exponent = (high(sum) >> 20) - 1023;
        let lost = if exponent > 0 {
            1.0 - (sum - x)
        } else {
            x - (sum - 1.0)
        };
        (sum, exponent, lost / sum)
    } else {
        (x, (top >> 20) - 1023, 0.0)
    };
    let mantissa = high(sum) & 0x000f_ffff;
    let (scaled, is_tiny) = if mantissa < 0x6a09e {
        (with_high(sum, mantissa | 0x3ff0_0000), mantissa == 0)
    } else {
        exponent += 1;
        let is_tiny = (0x0010_0000 - mantissa) >> 2 == 0;
        (with_high(sum, mantissa | 0x3fe0_0000), is_tiny)
    };
    near_one(scaled - 1.0, is_tiny, exponent, lost)
}

/// ln(1 + f) + exponent * ln 2, with what was lost of f. `is_tiny`: |f| is below 2^-20.
fn near_one(f: f64, is_tiny: bool, exponent: i32, mut lost: f64) -> f64 {
    let k = f64::from(exponent);
    let half_square = 0.5 * f * f;
    if is_tiny {
        if f == 0.0 {
            lost += k * LN2_LOW;
            return if exponent == 0 {
                0.0
            } else {
                k * LN2_HIGH + lost
            };
        }
        let rest = half_square * (1.0 - 0.666_666_666_666_666_6 * f);
        return if exponent == 0 {
            f - rest
        } else {
            k * LN2_HIGH - ((rest - (k * LN2_LOW + lost)) - f)
        };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let [first, others @ ..] = COEFFICIENTS;
    let rest = z * others.iter().fold(first, |sum, next| next + z * sum);
    if exponent == 0 {
        f - (half_square - s * (half_square + rest))
    } else {
        k * LN2_HIGH - ((half_square - (s * (half_square + rest) + (k * LN2_LOW + lost))) - f)
    }
}

/// Area hyperbolic tangent.
pub fn atanh(x: f64) -> f64 {
    let magnitude = x.abs();
    let doubled = magnitude + magnitude;
    let result = if magnitude > 1.0 || x.is_nan() {
        return f64::NAN;
    } else if magnitude == 1.0 {
        f64::INFINITY
    } else if magnitude < 3.725_290_298_461_914e-09 {
        return x;
    } else if magnitude < 0.5 {
        0.5 * log1p(doubled + doubled * magnitude / (1.0 - magnitude))
    } else {
        0.5 * log1p(doubled / (1.0 - magnitude))
    };
    result.copysign(x)
}
