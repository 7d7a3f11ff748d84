//! Mathematics to the last digit as V8 computes it.
//!
//! Decoders compute with `Math.pow` and `**`, and their examples were made with V8. The C library's
//! results differ from V8's in the last digit, now and then (`10 ** -5`); V8's come from fdlibm. The
//! functions here have the C library's names, so that the engine's calls find them first; they are
//! as precise, and serve whatever else in this program computes.
//!
//! The `libm` crate serves as far as it is fdlibm bit by bit; the rest is in the other files.

mod elementary;
mod logarithm;
mod power;
mod trigonometric;

macro_rules! replace {
    ($($name:ident($($argument:ident),+) = $function:path;)+) => {
        $(
            // SAFETY of the name: C's function of this name has this signature and meaning.
            #[unsafe(no_mangle)]
            extern "C" fn $name($($argument: f64),+) -> f64 {
                $function($($argument),+)
            }
        )+
    };
}

replace! {
    acos(x) = libm::acos;
    acosh(x) = elementary::acosh;
    asin(x) = libm::asin;
    asinh(x) = elementary::asinh;
    atan(x) = libm::atan;
    atan2(y, x) = libm::atan2;
    atanh(x) = logarithm::atanh;
    cbrt(x) = elementary::cbrt;
    cos(x) = trigonometric::cos;
    cosh(x) = elementary::cosh;
    exp(x) = elementary::exp;
    expm1(x) = libm::expm1;
    log(x) = elementary::log;
    log10(x) = elementary::log10;
    log1p(x) = logarithm::log1p;
    log2(x) = libm::log2;
    pow(x, y) = power::pow;
    sin(x) = trigonometric::sin;
    sinh(x) = elementary::sinh;
    tan(x) = libm::tan;
    tanh(x) = elementary::tanh;
}

fn high(x: f64) -> i32 {
    (x.to_bits() >> 32) as i32
}

fn with_high(x: f64, high: i32) -> f64 {
    f64::from_bits((x.to_bits() & 0xffff_ffff) | (u64::from(high as u32) << 32))
}
