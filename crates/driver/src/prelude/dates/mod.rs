//! `Date.parse` as V8 has it, step by step: the form of ISO 8601 that ECMAScript prescribes, and for all
//! other text V8's own reading, which ignores some words and refuses what no calendar has. The engine's
//! reading makes a date of `2021-00-10` or `2021-13-01`, and drivers would hand that on.
//!
//! The time zone is UTC.

mod scanner;

use scanner::{Scanner, Token, Word, milliseconds};

/// The largest time of a `Date`, in milliseconds from 1970.
const MAX_MS: i64 = 8_640_000_000_000_000;
/// Milliseconds since 1970; none where V8 says `Invalid Date`.
pub fn parse(text: &str) -> Option<i64> {
    let mut scanner = Scanner::new(text);
    let mut parts = Parts::default();
    let rest = match parts.read_iso(&mut scanner) {
        Iso::Invalid => return None,
        Iso::Read => Token::End,
        Iso::Rest(token) => token,
    };
    parts.read_legacy(&mut scanner, rest)?;
    parts.time_ms()
}

/// The outcome of reading text as ISO 8601.
enum Iso {
    Read,
    /// It is not; this is where the other reading goes on.
    Rest(Token),
    /// It can be nothing else, and is wrong.
    Invalid,
}

/// The parts that have been read so far.
#[derive(Default)]
struct Parts {
    day: Vec<i64>,
    named_month: Option<i64>,
    is_iso: bool,
    time: Vec<i64>,
    half: Option<i64>,
    sign: Option<i64>,
    zone_hour: Option<i64>,
    zone_minute: Option<i64>,
}

const fn is_hour(value: i64) -> bool {
    0 <= value && value <= 23
}

const fn is_sixtieth(value: i64) -> bool {
    0 <= value && value <= 59
}

const fn is_day(value: i64) -> bool {
    1 <= value && value <= 31
}

const fn is_month(value: i64) -> bool {
    1 <= value && value <= 12
}

impl Parts {
    fn read_iso(&mut self, scanner: &mut Scanner) -> Iso {
        if let Some(sign) = scanner.peek().sign() {
            let token = scanner.next();
            match scanner.peek().fixed(6) {
                Some(year) if sign > 0 || year != 0 => self.day.push(sign * year),
                // The minus of a year that is none is passed over with it, as V8 does.
                Some(_) => {
                    scanner.next();
                    return Iso::Rest(token);
                }
                None => return Iso::Rest(token),
            }
        } else if let Some(year) = scanner.peek().fixed(4) {
            self.day.push(year);
        } else {
            return Iso::Rest(scanner.next());
        }
        scanner.next();
        for is_valid in [is_month as fn(i64) -> bool, is_day] {
            if !scanner.skip('-') {
                break;
            }
            match scanner.peek().fixed(2) {
                Some(value) if is_valid(value) => self.day.push(value),
                _ => return Iso::Rest(scanner.next()),
            }
            scanner.next();
        }
        if scanner.peek() == Token::Word(Word::Separator) {
            scanner.next();
            if self.read_iso_time(scanner).is_none() {
                return Iso::Invalid;
            }
        } else if scanner.peek() != Token::End {
            return Iso::Rest(scanner.next());
        } else {
            self.set_zone(0);
        }
        self.is_iso = true;
        Iso::Read
    }

    /// Reads what follows the `T`, to the end of the text.
    fn read_iso_time(&mut self, scanner: &mut Scanner) -> Option<()> {
        let mut take = |scanner: &mut Scanner, is_valid: &dyn Fn(i64) -> bool| {
            let value = scanner.peek().fixed(2).filter(|value| is_valid(*value))?;
            scanner.next();
            self.time.push(value);
            Some(value)
        };
        let hour = take(scanner, &|hour| (0..=24).contains(&hour))?;
        // The end of a day is an hour, but nothing comes behind it.
        let is_rest = |value: i64| is_sixtieth(value) && (hour < 24 || value == 0);
        if !scanner.skip(':') {
            return None;
        }
        take(scanner, &is_rest)?;
        if scanner.skip(':') {
            take(scanner, &is_rest)?;
            if scanner.skip('.') {
                let token = scanner.next();
                let Token::Number(value, _) = token else {
                    return None;
                };
                if hour == 24 && value > 0 {
                    return None;
                }
                self.time.push(milliseconds(token));
            }
        }
        self.read_iso_zone(scanner)?;
        (scanner.peek() == Token::End).then_some(())
    }

    fn read_iso_zone(&mut self, scanner: &mut Scanner) -> Option<()> {
        if scanner.peek() == Token::Word(Word::Zone(0, true)) {
            scanner.next();
            self.set_zone(0);
            return Some(());
        }
        let Some(sign) = scanner.peek().sign() else {
            return Some(());
        };
        scanner.next();
        let (hour, minute) = if let Some(both) = scanner.peek().fixed(4) {
            (both / 100, both % 100)
        } else {
            let hour = scanner.peek().fixed(2)?;
            scanner.next();
            if !scanner.skip(':') {
                return None;
            }
            (hour, scanner.peek().fixed(2)?)
        };
        scanner.next();
        (self.sign, self.zone_hour, self.zone_minute) = (Some(sign), Some(hour), Some(minute));
        (is_hour(hour) && is_sixtieth(minute)).then_some(())
    }

    fn set_zone(&mut self, hours: i64) {
        self.sign = Some(if hours < 0 { -1 } else { 1 });
        self.zone_hour = Some(hours.abs());
        self.zone_minute = Some(0);
    }

    /// V8's reading of all other text, from the first token that is not read yet.
    fn read_legacy(&mut self, scanner: &mut Scanner, first: Token) -> Option<()> {
        let mut has_number = !self.day.is_empty();
        let mut token = first;
        while token != Token::End {
            match token {
                Token::Number(value, _) => {
                    has_number = true;
                    self.read_number(scanner, value)?;
                }
                Token::Word(word) => self.read_word(scanner, word, has_number)?,
                Token::Symbol('+' | '-') if self.is_utc() || !self.time.is_empty() => {
                    has_number = true;
                    self.read_offset(scanner, token)?;
                }
                // A second offset, or a sign or parenthesis that nothing asks for.
                Token::Symbol('+' | '-' | ')') if has_number => return None,
                _ => {}
            }
            token = scanner.next();
        }
        Some(())
    }

    fn read_number(&mut self, scanner: &mut Scanner, value: i64) -> Option<()> {
        if scanner.skip(':') {
            if scanner.skip(':') {
                return (self.time.is_empty() && self.add_time(value) && self.add_time(0))
                    .then_some(());
            }
            if !self.add_time(value) {
                return None;
            }
            scanner.skip('.');
        } else if scanner.skip('.') && self.is_time(value) {
            self.add_time(value);
            if !scanner.peek().is_number() {
                return None;
            }
            let fraction = milliseconds(scanner.next());
            self.add_last_time(fraction);
        } else if self.zone_hour.is_some() && self.zone_minute.is_none() && is_sixtieth(value) {
            self.zone_minute = Some(value);
        } else if self.is_time(value) {
            self.add_last_time(value);
            let is_end = match scanner.peek() {
                Token::End | Token::Space | Token::Symbol('+' | '-') => true,
                token => token == Token::Word(Word::Zone(0, true)),
            };
            return is_end.then_some(());
        } else {
            if self.day.len() == 3 {
                return None;
            }
            self.day.push(value);
            scanner.skip('-');
        }
        Some(())
    }

    fn read_word(&mut self, scanner: &mut Scanner, word: Word, has_number: bool) -> Option<()> {
        match word {
            Word::Half(hours) if !self.time.is_empty() => self.half = Some(hours),
            Word::Month(month) => {
                self.named_month = Some(month);
                scanner.skip('-');
            }
            Word::Zone(hours, _) if has_number => self.set_zone(hours),
            // Words that mean nothing may come before the first number, and must not touch it.
            _ => return (!has_number && !scanner.peek().is_number()).then_some(()),
        }
        Some(())
    }

    fn read_offset(&mut self, scanner: &mut Scanner, sign: Token) -> Option<()> {
        self.sign = sign.sign();
        let (value, length) = match scanner.peek() {
            Token::Number(value, length) => {
                scanner.next();
                (value, length)
            }
            _ => (0, 0),
        };
        (self.zone_hour, self.zone_minute) = match length {
            _ if scanner.peek() == Token::Symbol(':') => (Some(value), None),
            1 | 2 => (Some(value), Some(0)),
            3 | 4 => (Some(value / 100), Some(value % 100)),
            _ => return None,
        };
        Some(())
    }

    fn is_utc(&self) -> bool {
        self.zone_hour == Some(0) && self.zone_minute == Some(0)
    }

    /// Returns whether a time has begun that a number can go on.
    fn is_time(&self, value: i64) -> bool {
        match self.time.len() {
            1 | 2 => is_sixtieth(value),
            3 => (0..1000).contains(&value),
            _ => false,
        }
    }

    fn add_time(&mut self, value: i64) -> bool {
        let has_room = self.time.len() < 4;
        if has_room {
            self.time.push(value);
        }
        has_room
    }

    fn add_last_time(&mut self, value: i64) {
        self.add_time(value);
        self.time.resize(4, 0);
    }

    fn time_ms(mut self) -> Option<i64> {
        let (year, month, day) = self.date()?;
        self.time.resize(4, 0);
        let [mut hour, minute, second, millisecond] = self.time[..] else {
            return None;
        };
        if let Some(half) = self.half {
            if !(0..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + half;
        }
        let is_in_day = is_hour(hour)
            && is_sixtieth(minute)
            && is_sixtieth(second)
            && (0..1000).contains(&millisecond);
        if !is_in_day && (hour, minute, second, millisecond) != (24, 0, 0, 0) {
            return None;
        }
        let offset_s = (self.zone_hour.unwrap_or(0) * 60 + self.zone_minute.unwrap_or(0)) * 60;
        if offset_s >= 1 << 31 {
            return None;
        }
        let seconds = days_from_1970(year, month) * 86_400
            + (day - 1) * 86_400
            + hour * 3_600
            + minute * 60
            + second
            - self.sign.unwrap_or(0) * offset_s;
        let time_ms = seconds * 1_000 + millisecond;
        (time_ms.abs() <= MAX_MS).then_some(time_ms)
    }

    fn date(&mut self) -> Option<(i64, i64, i64)> {
        if self.day.is_empty() {
            return None;
        }
        self.day.resize(3, 1);
        let [first, second, third] = self.day[..] else {
            return None;
        };
        let (mut year, month, day) = match self.named_month {
            None if self.is_iso || !is_day(first) => (first, second, third),
            None => (third, first, second),
            Some(month) if !is_day(first) => (first, month, second),
            Some(month) => (second, month, first),
        };
        if !self.is_iso {
            year += match year {
                0..=49 => 2000,
                50..=99 => 1900,
                _ => 0,
            };
        }
        (is_month(month) && is_day(day)).then_some((year, month, day))
    }
}

/// Days from 1970 to the first of a month, in the proleptic Gregorian calendar.
fn days_from_1970(year: i64, month: i64) -> i64 {
    // Years that begin in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}
