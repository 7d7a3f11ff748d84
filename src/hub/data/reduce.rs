//! Fewer points for a line of a chart, without what the eye would miss.
//!
//! First the smallest and the greatest value of each of many equal parts are kept, then of these the points that
//! make the largest triangle with their neighbours (largest triangle three buckets). The extremes of the whole line
//! are always kept.

/// A point: time in microseconds since 1970, and value.
pub type Point = (i64, f64);

/// Number of points that the first step leaves for each that the second one keeps.
const RATIO: usize = 4;
/// Multiple of the usual distance between two points from which they are not connected.
const GAP: i64 = 5;

/// Divides points in the order of time where one or more are missing: their distance is many times the usual one.
pub fn segments(points: Vec<Point>) -> Vec<Vec<Point>> {
    let mut distances: Vec<i64> = points
        .windows(2)
        .map(|pair| distance(pair[0], pair[1]))
        .collect();
    distances.sort_unstable();
    let usual = distances
        .get(distances.len() / 2)
        .copied()
        .unwrap_or_default();
    let most = usual.max(1).saturating_mul(GAP);
    let mut segments: Vec<Vec<Point>> = Vec::new();
    for point in points {
        match segments.last_mut() {
            Some(segment)
                if segment
                    .last()
                    .is_none_or(|last| distance(*last, point) <= most) =>
            {
                segment.push(point);
            }
            _ => segments.push(vec![point]),
        }
    }
    segments
}

/// Returns at most `most` of the points, and the extremes; `most` is at least 3.
pub fn reduce(points: Vec<Point>, most: usize) -> Vec<Point> {
    let most = most.max(3);
    if points.len() <= most {
        return points;
    }
    let picked = largest_triangles(&extremes(&points, most * RATIO / 2), most);
    let by_value = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
    let ends = [
        points.iter().min_by(by_value),
        points.iter().max_by(by_value),
    ];
    let mut reduced = picked;
    for end in ends.into_iter().flatten() {
        if !reduced.iter().any(|point| point.1 == end.1) {
            let place = reduced.partition_point(|point| point.0 <= end.0);
            reduced.insert(place, *end);
        }
    }
    reduced
}

fn distance(one: Point, other: Point) -> i64 {
    other.0.saturating_sub(one.0)
}

/// Returns the first and last point, and the smallest and greatest value of each part.
fn extremes(points: &[Point], parts: usize) -> Vec<Point> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let mut kept = vec![*first];
    for part in points.chunks(points.len().div_ceil(parts.max(1))) {
        let indexed = || part.iter().enumerate();
        let low = indexed().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let high = indexed().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let (Some((low, _)), Some((high, _))) = (low, high) else {
            continue;
        };
        kept.push(part[low.min(high)]);
        if low != high {
            kept.push(part[low.max(high)]);
        }
    }
    kept.push(*last);
    kept.dedup();
    kept
}

/// Returns the first and last point, and of each part between them the one that makes the largest triangle with the
/// one picked before and the mean of the next part.
fn largest_triangles(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let (first, last) = (points[0], points[points.len() - 1]);
    let inner = &points[1..points.len() - 1];
    let parts: Vec<&[Point]> = inner.chunks(inner.len().div_ceil(most - 2)).collect();
    let mut picked = vec![first];
    for (index, part) in parts.iter().enumerate() {
        let before = picked[picked.len() - 1];
        let next = parts.get(index + 1).map_or(last, |next| mean(next));
        let area = |point: &Point| {
            let across = |time: i64| time.saturating_sub(before.0) as f64;
            (across(next.0) * (point.1 - before.1) - across(point.0) * (next.1 - before.1)).abs()
        };
        let largest = part.iter().max_by(|a, b| area(a).total_cmp(&area(b)));
        picked.extend(largest);
    }
    picked.push(last);
    picked
}

fn mean(points: &[Point]) -> Point {
    let count = points.len().max(1);
    let start = points.first().map_or(0, |point| point.0);
    let across: f64 = points
        .iter()
        .map(|point| point.0.saturating_sub(start) as f64)
        .sum();
    let value: f64 = points.iter().map(|point| point.1 / count as f64).sum();
    (start + (across / count as f64) as i64, value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_breaks_where_points_are_missing() {
        let minutes = |times: &[i64]| -> Vec<Point> {
            times.iter().map(|time| (time * 60_000_000, 1.0)).collect()
        };
        let parts = |times: &[i64]| -> Vec<usize> {
            segments(minutes(times)).iter().map(Vec::len).collect()
        };
        assert_eq!(parts(&[0, 10, 20, 30, 40]), [5]);
        assert_eq!(parts(&[0, 10, 20, 30, 80]), [5], "a few are missing");
        assert_eq!(parts(&[0, 10, 20, 30, 81, 91]), [4, 2]);
        assert_eq!(parts(&[0]), [1]);
        assert_eq!(parts(&[]), [0_usize; 0]);
        assert_eq!(parts(&[0, 0, 0, 1000]), [3, 1]);
    }

    proptest! {
        #[test]
        fn extremes_order_and_ends_are_kept(
            values in prop::collection::vec(-1e300..1e300_f64, 1..3000),
            most in 3_usize..200,
        ) {
            let points: Vec<Point> = (0..).zip(values).collect();
            let reduced = reduce(points.clone(), most);
            prop_assert!(reduced.len() <= most + 2);
            prop_assert!(reduced.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(reduced.iter().all(|point| points.contains(point)));
            prop_assert_eq!(reduced.first(), points.first());
            prop_assert_eq!(reduced.last(), points.last());
            let bounds = |points: &[Point]| {
                let values = points.iter().map(|point| point.1);
                (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
            };
            prop_assert_eq!(bounds(&reduced), bounds(&points));
        }
    }
}
