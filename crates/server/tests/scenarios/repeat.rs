//! Long texts, written short.
//!
//! `<repeat 3 ,>{"id": "r#"}</repeat>` becomes `{"id": "r0"},{"id": "r1"},{"id": "r2"}`: the text
//! inside as often as the number says, with what follows the number in between, and each `#` as
//! the number of the turn. One cannot stand in another.

const OPENING: &str = "<repeat ";
const CLOSING: &str = "</repeat>";

/// Writes every repetition out.
pub(crate) fn expand(text: &str) -> Result<String, String> {
    let (mut written, mut rest) = (String::new(), text);
    while let Some((before, repetition)) = rest.split_once(OPENING) {
        let (head, repetition) = repetition.split_once('>').ok_or("<repeat without >")?;
        let (inside, after) = repetition.split_once(CLOSING).ok_or("<repeat> is not closed")?;
        let (count, between) = head.split_once(' ').unwrap_or((head, ""));
        let count: usize = count.parse().map_err(|_| format!("<repeat {head}> has no number"))?;
        written.push_str(before);
        for turn in 0..count {
            if turn > 0 {
                written.push_str(between);
            }
            written.push_str(&inside.replace('#', &turn.to_string()));
        }
        rest = after;
    }
    written.push_str(rest);
    Ok(written)
}
