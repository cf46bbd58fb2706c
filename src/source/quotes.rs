//! Expressions and paths without the texts that are quoted in them.
//!
//! Lives here: what stands outside of quotes. Does not: what an expression means (`step::template`), or a path.

/// What of a text stands in no quotes, and not the quotes.
pub fn outside_quotes(source: &str) -> String {
    let mut quote = None;
    let mut is_escaped = false;
    source
        .chars()
        .filter(|&c| {
            let was_quoted = quote.is_some();
            match quote {
                Some(_) if is_escaped => is_escaped = false,
                Some(_) if c == '\\' => is_escaped = true,
                Some(mark) if c == mark => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                _ => {}
            }
            !was_quoted && quote.is_none()
        })
        .collect()
}
