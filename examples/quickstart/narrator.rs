//! The narrator: prints a numbered story in plain text, 80 columns wide.

const WIDTH: usize = 80;
const INDENT: &str = "   ";

/// Prints the title.
pub fn title(text: &str) {
    println!("{text}\n{}", "=".repeat(text.chars().count()));
}

/// Prints the heading of a step.
pub fn step(number: usize, text: &str) {
    println!("\n{number}. {text}");
}

/// Prints a command as a user types it.
pub fn command(text: &str) {
    println!("{INDENT}$ {text}");
}

/// Prints the output of a command.
pub fn output(text: &str) {
    text.lines().for_each(|line| println!("{INDENT}{line}"));
}

/// Prints a line of one of the participants.
pub fn tell(who: &str, text: &str) {
    let mut line = format!("{INDENT}{who:<9}");
    let column = line.len();
    for word in text.split(' ') {
        let is_first = line.len() == column;
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            println!("{line}");
            line = " ".repeat(column);
        }
        line.push(' ');
        line.push_str(word);
    }
    println!("{line}");
}

/// Formats a size, as in `4.8 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
