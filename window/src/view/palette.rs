//! The colours of the window, light and dark.

/// An opaque colour: red, green and blue.
pub type Colour = [u8; 3];

/// The role of a colour in text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ink {
    /// Ordinary text.
    #[default]
    Text,
    /// Text of less importance.
    Detail,
    /// Links.
    Link,
    /// Text on the accent colour.
    OnAccent,
}

/// The colours of a theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// The ground of the window.
    pub ground: Colour,
    /// The ground of the notes.
    pub sheet: Colour,
    /// The edge of the notes and of buttons.
    pub edge: Colour,
    /// Ordinary text.
    pub text: Colour,
    /// Text of less importance.
    pub detail: Colour,
    /// The primary button, the progress, the focus and links.
    pub accent: Colour,
    /// The primary button under the pointer.
    pub accent_hover: Colour,
    /// Text on the accent.
    pub on_accent: Colour,
    /// A button.
    pub button: Colour,
    /// A button under the pointer.
    pub button_hover: Colour,
    /// The track of progress and scroll bars.
    pub track: Colour,
}

/// The light colours.
pub const LIGHT: Palette = Palette {
    ground: [0xfa, 0xfa, 0xfa],
    sheet: [0xff, 0xff, 0xff],
    edge: [0xcc, 0xcc, 0xcc],
    text: [0x1f, 0x1f, 0x1f],
    detail: [0x5a, 0x5a, 0x5a],
    accent: [0x1c, 0x5f, 0xc4],
    accent_hover: [0x17, 0x50, 0xa8],
    on_accent: [0xff, 0xff, 0xff],
    button: [0xea, 0xea, 0xea],
    button_hover: [0xdd, 0xdd, 0xdd],
    track: [0xd8, 0xd8, 0xd8],
};

/// The dark colours.
pub const DARK: Palette = Palette {
    ground: [0x24, 0x24, 0x24],
    sheet: [0x1b, 0x1b, 0x1b],
    edge: [0x50, 0x50, 0x50],
    text: [0xf2, 0xf2, 0xf2],
    detail: [0xb8, 0xb8, 0xb8],
    accent: [0x7a, 0xb0, 0xff],
    accent_hover: [0x9c, 0xc4, 0xff],
    on_accent: [0x0c, 0x1a, 0x30],
    button: [0x3a, 0x3a, 0x3a],
    button_hover: [0x4a, 0x4a, 0x4a],
    track: [0x4a, 0x4a, 0x4a],
};

impl Palette {
    /// Returns the colour of text.
    pub fn ink(&self, ink: Ink) -> Colour {
        match ink {
            Ink::Text => self.text,
            Ink::Detail => self.detail,
            Ink::Link => self.accent,
            Ink::OnAccent => self.on_accent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, DARK, LIGHT};

    /// Returns the relative luminance of WCAG 2.
    fn luminance(colour: Colour) -> f64 {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
    }

    fn contrast(one: Colour, other: Colour) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn texts_have_the_contrast_that_wcag_asks_for() {
        for palette in [LIGHT, DARK] {
            for ground in [palette.ground, palette.sheet] {
                for ink in [palette.text, palette.detail, palette.accent] {
                    assert!(contrast(ground, ink) >= 4.5, "{ink:?} on {ground:?}");
                }
            }
            for button in [palette.button, palette.button_hover] {
                assert!(contrast(button, palette.text) >= 4.5);
            }
            for accent in [palette.accent, palette.accent_hover] {
                assert!(contrast(accent, palette.on_accent) >= 4.5);
            }
            // The bar of the progress, and the ring of the focus.
            assert!(contrast(palette.track, palette.accent) >= 3.0);
        }
    }
}
