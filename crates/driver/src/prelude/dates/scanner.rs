//! Numbers, words and signs of a date's text, as V8 tells them apart.

/// Digits of a number that count; what follows is read and ignored.
const DIGITS_MAX: usize = 9;
/// Letters of a word that count.
const LETTERS: usize = 3;

#[derive(Clone, Copy, PartialEq)]
pub enum Token {
    End,
    /// Its value, and how many digits it has.
    Number(i64, usize),
    Symbol(char),
    Word(Word),
    /// White space, or what means nothing.
    Space,
    Unknown,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Word {
    Month(i64),
    /// Hours to add to those of a clock with twelve.
    Half(i64),
    /// Hours east of Greenwich; `true` for `Z`.
    Zone(i64, bool),
    /// The `T` between date and time.
    Separator,
    Other,
}

impl Token {
    /// A number with exactly so many digits.
    pub fn fixed(self, digits: usize) -> Option<i64> {
        match self {
            Token::Number(value, length) if length == digits => Some(value),
            _ => None,
        }
    }

    pub fn sign(self) -> Option<i64> {
        match self {
            Token::Symbol('+') => Some(1),
            Token::Symbol('-') => Some(-1),
            _ => None,
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self, Token::Number(..))
    }
}

pub struct Scanner {
    characters: Vec<char>,
    at: usize,
    current: Token,
}

impl Scanner {
    pub fn new(text: &str) -> Self {
        // For V8, a NUL is the end.
        let characters = text.chars().take_while(|c| *c != '\0').collect();
        let mut scanner = Self {
            characters,
            at: 0,
            current: Token::End,
        };
        scanner.current = scanner.scan();
        scanner
    }

    pub fn peek(&self) -> Token {
        self.current
    }

    pub fn next(&mut self) -> Token {
        let scanned = self.scan();
        std::mem::replace(&mut self.current, scanned)
    }

    pub fn skip(&mut self, symbol: char) -> bool {
        let found = self.current == Token::Symbol(symbol);
        if found {
            self.next();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &[char] {
        let start = self.at;
        while self.characters.get(self.at).is_some_and(|c| wanted(*c)) {
            self.at += 1;
        }
        &self.characters[start..self.at]
    }

    fn scan(&mut self) -> Token {
        let Some(&first) = self.characters.get(self.at) else {
            return Token::End;
        };
        if first.is_ascii_digit() {
            let digits = self.take_while(|c| c.is_ascii_digit());
            let counting = digits.iter().skip_while(|c| **c == '0').take(DIGITS_MAX);
            let value = counting.fold(0, |value, c| value * 10 + (*c as i64 - '0' as i64));
            return Token::Number(value, digits.len());
        }
        if is_letter(first) {
            return Token::Word(word(self.take_while(is_letter)));
        }
        if first == '(' {
            self.skip_parentheses();
            return Token::Unknown;
        }
        self.at += 1;
        match first {
            ':' | '-' | '+' | '.' | ')' => Token::Symbol(first),
            _ if is_white(first) => Token::Space,
            _ => Token::Unknown,
        }
    }

    fn skip_parentheses(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.characters.get(self.at) {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
    }
}

fn is_white(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

/// ASCII letters, and whatever comes behind `A` and is no white space.
fn is_letter(c: char) -> bool {
    c >= 'A' && (!is_white(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

fn word(letters: &[char]) -> Word {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let lower = |c: &char| char::from_u32(*c as u32 | 0x20).unwrap_or(*c);
    let start: String = letters.iter().take(LETTERS).map(lower).collect();
    if let Some(month) = (1..).zip(MONTHS).find(|(_, name)| *name == start) {
        return Word::Month(month.0);
    }
    if letters.len() > LETTERS {
        return Word::Other;
    }
    match start.as_str() {
        "am" => Word::Half(0),
        "pm" => Word::Half(12),
        "z" => Word::Zone(0, true),
        "ut" | "utc" | "gmt" => Word::Zone(0, false),
        "edt" => Word::Zone(-4, false),
        "cdt" | "est" => Word::Zone(-5, false),
        "mdt" | "cst" => Word::Zone(-6, false),
        "pdt" | "mst" => Word::Zone(-7, false),
        "pst" => Word::Zone(-8, false),
        "t" => Word::Separator,
        _ => Word::Other,
    }
}

/// The digits behind a point, as thousandths.
pub fn milliseconds(token: Token) -> i64 {
    let Token::Number(value, length) = token else {
        return 0;
    };
    match length {
        1 => value * 100,
        2 => value * 10,
        _ => value / 10_i64.pow((length.min(DIGITS_MAX) - 3) as u32),
    }
}
