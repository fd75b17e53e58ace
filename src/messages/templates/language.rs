//! The language of templates: the part of Jinja that messages need.
//!
//! Values are written by `{{ ... }}`, comments by `{# ... #}`; the tags are `if`, `elif`, `else`, `endif` and `set`.
//! Expressions have the variables, texts, whole numbers, a few filters and tests, comparisons, `and`, `or`, `not`,
//! `a if b else c`, `+ - * /` and `//`. There are no loops, calls, lists and members: the variables are single values.
//! With these left out, no value has others in it, and work grows with the length of the template only. Parts of texts
//! (`code[:3]`) are left out too: the engine takes a part of null for a list, and lists of lists may cost any time.
//!
//! The check reads tags as the engine does, so that both see the same ones. It bounds their length and nesting as well,
//! since the engine's parser follows these with its stack: it calls itself for each `not`, `-` and `elif`.

use super::{TemplateFault, VARIABLES};

const FILTERS: [&str; 9] = ["upper", "lower", "capitalize", "title", "trim", "default", "d", "escape", "e"];
const TESTS: [&str; 3] = ["none", "defined", "undefined"];
/// Words between values.
const OPERATORS: [&str; 7] = ["and", "or", "not", "in", "is", "if", "else"];
const CONSTANTS: [&str; 6] = ["true", "True", "false", "False", "none", "None"];
const OPERATOR_SIGNS: [&str; 12] = ["|", "+", "-", "*", "/", "//", "==", "!=", "<", ">", "<=", ">="];

/// Most words, texts, numbers and signs of a tag.
const TOKENS_MAX: usize = 64;
/// Deepest nesting of brackets.
const BRACKETS_MAX: usize = 8;
/// Deepest nesting of conditions; an `elif` is one within its `if`.
const CONDITIONS_MAX: usize = 32;
/// Longest number, in digits.
const DIGITS_MAX: usize = 9;

/// Checks a template against the language.
///
/// # Errors
/// The first broken rule.
pub(super) fn check(source: &str) -> Result<(), TemplateFault> {
    let mut check = Check { source, at: 0, names: VARIABLES.to_vec(), conditions: Vec::new() };
    while let Some(tag) = check.next_tag()? {
        check.tag(&tag)?;
    }
    Ok(())
}

struct Check<'s> {
    source: &'s str,
    /// Place of the next character to be read.
    at: usize,
    /// The variables, and names that the template has set.
    names: Vec<&'s str>,
    /// For each open condition, its `if` and every `elif`.
    conditions: Vec<usize>,
}

/// A tag without its delimiters.
struct Tag<'s> {
    is_output: bool,
    at: usize,
    tokens: Vec<Token<'s>>,
}

#[derive(Clone, Copy)]
struct Token<'s> {
    at: usize,
    part: Part<'s>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part<'s> {
    Word(&'s str),
    Number(&'s str),
    Text,
    Sign(&'s str),
}

impl<'s> Check<'s> {
    fn fault<T>(&self, at: usize, rule: &'static str) -> Result<T, TemplateFault> {
        let line = 1 + self.source.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
        Err(TemplateFault { line, rule })
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Reads up to the end of the next tag. Comments are skipped.
    fn next_tag(&mut self) -> Result<Option<Tag<'s>>, TemplateFault> {
        loop {
            let opening = self.rest().match_indices('{').find_map(|(place, _)| {
                let marker = self.rest().as_bytes().get(place + 1)?;
                b"{%#".contains(marker).then_some((self.at + place, *marker))
            });
            let Some((at, marker)) = opening else { return Ok(None) };
            self.at = at + 2;
            // White space before or behind a tag is trimmed or kept by a sign next to the delimiter.
            if self.rest().starts_with(['-', '+']) {
                self.at += 1;
            }
            if marker != b'#' {
                let is_output = marker == b'{';
                let tokens = self.tokens(at, if is_output { "}}" } else { "%}" })?;
                return Ok(Some(Tag { is_output, at, tokens }));
            }
            match self.rest().find("#}") {
                Some(end) => self.at += end + 2,
                None => return self.fault(at, "has a comment without its end"),
            }
        }
    }

    /// Reads the tokens of a tag, and its end.
    fn tokens(&mut self, opened_at: usize, end: &str) -> Result<Vec<Token<'s>>, TemplateFault> {
        let (mut tokens, mut open) = (Vec::new(), 0_usize);
        loop {
            self.at += self.rest().len() - self.rest().trim_ascii_start().len();
            let rest = self.rest();
            let trimmed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if open == 0 && trimmed.starts_with(end) {
                self.at += rest.len() - trimmed.len() + end.len();
                return Ok(tokens);
            }
            let Some(first) = rest.chars().next() else {
                return self.fault(opened_at, "has a tag without its end");
            };
            let at = self.at;
            let part = match first {
                '"' | '\'' => self.text(first)?,
                '0'..='9' => Part::Number(self.word()),
                'a'..='z' | 'A'..='Z' | '_' => Part::Word(self.word()),
                _ => Part::Sign(self.sign(first)),
            };
            match part {
                Part::Sign("(") => open += 1,
                Part::Sign(")") if open == 0 => return self.fault(at, "has brackets that do not match"),
                Part::Sign(")") => open -= 1,
                _ => {}
            }
            tokens.push(Token { at, part });
            if tokens.len() > TOKENS_MAX {
                return self.fault(at, "has a tag of more than 64 words and signs");
            }
        }
    }

    /// Reads a text in quotes. One with a backslash is refused: it could make characters that no stored text has.
    fn text(&mut self, quote: char) -> Result<Part<'s>, TemplateFault> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let Some(end) = inner.find([quote, '\\']) else { return self.fault(self.at, "has a text without its end") };
        if !inner.get(end..).is_some_and(|rest| rest.starts_with(quote)) {
            return self.fault(self.at, "has a backslash in a text");
        }
        self.at += 1 + end + 1;
        Ok(Part::Text)
    }

    fn word(&mut self) -> &'s str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn sign(&mut self, first: char) -> &'s str {
        let rest = self.rest();
        let is_double = ["//", "**", "==", "!=", "<=", ">="].iter().any(|double| rest.starts_with(double));
        let length = if is_double { 2 } else { first.len_utf8() };
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn tag(&mut self, tag: &Tag<'s>) -> Result<(), TemplateFault> {
        if tag.is_output {
            return self.expression(&tag.tokens);
        }
        let Some((name, rest)) = tag.tokens.split_first() else { return self.fault(tag.at, "has an empty tag") };
        match name.part {
            Part::Word("if") => {
                self.conditions.push(1);
                self.nested(tag.at)?;
                self.expression(rest)
            }
            Part::Word("elif") => {
                if let Some(condition) = self.conditions.last_mut() {
                    *condition += 1;
                }
                self.nested(tag.at)?;
                self.expression(rest)
            }
            Part::Word("else") if rest.is_empty() => Ok(()),
            Part::Word("endif") if rest.is_empty() => {
                self.conditions.pop();
                Ok(())
            }
            Part::Word("set") => match rest {
                [Token { part: Part::Word(set), .. }, Token { part: Part::Sign("="), .. }, value @ ..] => {
                    self.expression(value)?;
                    self.names.push(*set);
                    Ok(())
                }
                _ => self.fault(tag.at, "has a set without a name, = and a value"),
            },
            _ => self.fault(tag.at, "has an unknown tag; the tags are if, elif, else, endif and set"),
        }
    }

    fn nested(&self, at: usize) -> Result<(), TemplateFault> {
        if self.conditions.iter().sum::<usize>() > CONDITIONS_MAX {
            return self.fault(at, "nests conditions deeper than 32");
        }
        Ok(())
    }

    /// Checks the words and signs of an expression. Their order is left to the engine's parser, unless it makes a call
    /// or a list of them.
    fn expression(&self, tokens: &[Token<'s>]) -> Result<(), TemplateFault> {
        let mut brackets = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let before = tokens.get(..index).unwrap_or_default();
            let broken = match token.part {
                Part::Word(word) => self.word_rule(word, before),
                Part::Number(digits) => (digits.len() > DIGITS_MAX).then_some("has a number of more than 9 digits"),
                Part::Text => None,
                Part::Sign(sign) => sign_rule(sign, before, &mut brackets),
            };
            if let Some(rule) = broken {
                return self.fault(token.at, rule);
            }
        }
        Ok(())
    }

    /// The rule that a word breaks.
    fn word_rule(&self, word: &str, before: &[Token<'s>]) -> Option<&'static str> {
        if follows(before, &[Part::Sign("|")]) {
            let rule =
                "uses an unknown filter; the filters are upper, lower, capitalize, title, trim, default and escape";
            return (!FILTERS.contains(&word)).then_some(rule);
        }
        if is_test(before) && word != "not" {
            let rule = "uses an unknown test; the tests are none, defined and undefined";
            return (!TESTS.contains(&word)).then_some(rule);
        }
        let is_known = OPERATORS.contains(&word) || CONSTANTS.contains(&word) || self.names.contains(&word);
        let rule = "uses an unknown name; the variables are code, link, first_name, last_name, organization, \
                    support_email and expires_minutes";
        (!is_known).then_some(rule)
    }
}

/// Whether `tokens` end with these parts.
fn follows(tokens: &[Token<'_>], parts: &[Part<'_>]) -> bool {
    let start = tokens.len().checked_sub(parts.len());
    let end = start.and_then(|start| tokens.get(start..));
    end.is_some_and(|end| end.iter().zip(parts).all(|(token, part)| token.part == *part))
}

/// Whether the name of a test comes next.
fn is_test(before: &[Token<'_>]) -> bool {
    follows(before, &[Part::Word("is")]) || follows(before, &[Part::Word("is"), Part::Word("not")])
}

/// Whether `tokens` end with a value.
fn ends_with_value(tokens: &[Token<'_>]) -> bool {
    tokens.last().is_some_and(|last| match last.part {
        Part::Word(word) => !OPERATORS.contains(&word),
        Part::Number(_) | Part::Text | Part::Sign(")") => true,
        Part::Sign(_) => false,
    })
}

/// Whether `tokens` end with the name of a filter.
fn ends_with_filter(tokens: &[Token<'_>]) -> bool {
    let name = tokens.len().saturating_sub(1);
    tokens.last().is_some_and(|last| matches!(last.part, Part::Word(_)))
        && tokens.get(..name).is_some_and(|before| follows(before, &[Part::Sign("|")]))
}

/// The rule that a sign breaks. `brackets` are those open before it, and then after it: whether each holds the values
/// of a filter.
fn sign_rule(sign: &str, before: &[Token<'_>], brackets: &mut Vec<bool>) -> Option<&'static str> {
    const LIST: &str = "has a list; every value is a single one";
    match sign {
        "(" if !ends_with_filter(before) && ends_with_value(before) => Some("calls a function; there are none"),
        "(" => {
            brackets.push(ends_with_filter(before));
            (brackets.len() > BRACKETS_MAX).then_some("nests brackets deeper than 8")
        }
        ")" => {
            let is_group = brackets.pop() == Some(false);
            (is_group && follows(before, &[Part::Sign("(")])).then_some(LIST)
        }
        "," => (brackets.last() != Some(&true)).then_some(LIST),
        "[" => Some(LIST),
        "=" => Some("has a = outside of a set; values are compared by =="),
        sign if OPERATOR_SIGNS.contains(&sign) => None,
        _ => Some("has an unknown sign"),
    }
}
