//! Sine and cosine, after fdlibm; the `libm` crate sums their series in another order.

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

use super::{high, with_high};

/// Sine.
pub fn sin(x: f64) -> f64 {
    match reduce(x) {
        None => libm::sin(x),
        Some((0, y, tail)) => kernel_sin(y, tail),
        Some((1, y, tail)) => kernel_cos(y, tail),
        Some((2, y, tail)) => -kernel_sin(y, tail),
        Some((_, y, tail)) => -kernel_cos(y, tail),
    }
}

/// Cosine.
pub fn cos(x: f64) -> f64 {
    match reduce(x) {
        None => libm::cos(x),
        Some((0, y, tail)) => kernel_cos(y, tail),
        Some((1, y, tail)) => -kernel_sin(y, tail),
        Some((2, y, tail)) => -kernel_cos(y, tail),
        Some((_, y, tail)) => kernel_sin(y, tail),
    }
}

/// `x` less a multiple of a quarter turn, with its tail, and the quadrant; `None` where it is too
/// large for this.
fn reduce(x: f64) -> Option<(i32, f64, f64)> {
    const INVPIO2: f64 = std::f64::consts::FRAC_2_PI;
    const PARTS: [(f64, f64); 3] = [
        (1.57079632673412561417e+00, 6.07710050650619224932e-11),
        (6.07710050630396597660e-11, 2.02226624879595063154e-21),
        (2.02226624871116645580e-21, 8.47842766036889956997e-32),
    ];
    let ix = high(x) & 0x7fff_ffff;
    if ix <= 0x3fe9_21fb {
        return Some((0, x, 0.0));
    }
    if ix > 0x4139_21fb {
        return None;
    }
    let a = x.abs();
    let n = (a * INVPIO2 + 0.5) as i32;
    let turns = f64::from(n);
    let exponent = ix >> 20;
    let lost = |y: f64| exponent - ((high(y) >> 20) & 0x7ff);
    let mut r = a - turns * PARTS[0].0;
    let mut w = turns * PARTS[0].1;
    let mut y = r - w;
    for (part, bits) in [(1, 16), (2, 49)] {
        if lost(y) <= bits {
            break;
        }
        let t = r;
        w = turns * PARTS[part].0;
        r = t - w;
        w = turns * PARTS[part].1 - ((t - r) - w);
        y = r - w;
    }
    let tail = (r - y) - w;
    Some(if x < 0.0 {
        (-n & 3, -y, -tail)
    } else {
        (n & 3, y, tail)
    })
}

fn kernel_sin(x: f64, tail: f64) -> f64 {
    const S1: f64 = -1.66666666666666324348e-01;
    const S2: f64 = 8.33333333332248946124e-03;
    const S3: f64 = -1.98412698298579493134e-04;
    const S4: f64 = 2.75573137070700676789e-06;
    const S5: f64 = -2.50507602534068634195e-08;
    const S6: f64 = 1.58969099521155010221e-10;
    if high(x) & 0x7fff_ffff < 0x3e40_0000 {
        return x;
    }
    let z = x * x;
    let v = z * x;
    let r = S2 + z * (S3 + z * (S4 + z * (S5 + z * S6)));
    if tail == 0.0 {
        x + v * (S1 + z * r)
    } else {
        x - ((z * (0.5 * tail - v * r) - tail) - v * S1)
    }
}

fn kernel_cos(x: f64, tail: f64) -> f64 {
    const C1: f64 = 4.16666666666666019037e-02;
    const C2: f64 = -1.38888888888741095749e-03;
    const C3: f64 = 2.48015872894767294178e-05;
    const C4: f64 = -2.75573143513906633035e-07;
    const C5: f64 = 2.08757232129817482790e-09;
    const C6: f64 = -1.13596475577881948265e-11;
    let ix = high(x) & 0x7fff_ffff;
    if ix < 0x3e40_0000 {
        return 1.0;
    }
    let z = x * x;
    let r = z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * C6)))));
    if ix < 0x3fd3_3333 {
        return 1.0 - (0.5 * z - (z * r - x * tail));
    }
    let quarter = if ix > 0x3fe9_0000 {
        0.28125
    } else {
        with_high(0.0, ix - 0x0020_0000)
    };
    let iz = 0.5 * z - quarter;
    (1.0 - quarter) - (iz - (z * r - x * tail))
}
