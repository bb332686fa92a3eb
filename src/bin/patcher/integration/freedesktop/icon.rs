//! The icon: a picture that the release contains, and its place in the icon theme of the user.

/// The sizes of pictures in the theme hicolor, in pixels.
const SIZES: [u32; 12] = [16, 22, 24, 32, 36, 48, 64, 72, 96, 128, 256, 512];

/// The place of an icon in the theme hicolor.
#[derive(Debug, PartialEq, Eq)]
pub struct IconPlace {
    /// The folder in the theme.
    pub folder: String,
    /// The ending of the file's name.
    pub ending: &'static str,
}

impl IconPlace {
    /// Returns the place of a picture.
    ///
    /// # Errors
    /// The reason why the theme has no place for it.
    pub fn of(path: &str, bytes: &[u8]) -> Result<Self, &'static str> {
        match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("svg") => Ok(Self { folder: "scalable/apps".to_owned(), ending: "svg" }),
            Some("png") => {
                let size = png_size(bytes).ok_or("it is no PNG")?;
                let is_known = |(width, height): &(u32, u32)| width == height && SIZES.contains(width);
                let (size, _) = Some(size).filter(is_known).ok_or("an icon is square, with 16 to 512 pixels")?;
                Ok(Self { folder: format!("{size}x{size}/apps"), ending: "png" })
            }
            _ => Err("icons are .png or .svg"),
        }
    }

    /// Returns all places that an icon can have.
    pub fn all() -> impl Iterator<Item = Self> {
        let png = SIZES.into_iter().map(|size| Self { folder: format!("{size}x{size}/apps"), ending: "png" });
        png.chain([Self { folder: "scalable/apps".to_owned(), ending: "svg" }])
    }
}

/// Returns width and height of a picture (PNG, sections 5.2 and 11.2.2).
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let number = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(0)?, number(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..], &width.to_be_bytes(), &height.to_be_bytes()].concat()
    }

    #[test]
    fn an_icon_has_the_folder_of_its_size() {
        let place = |folder: &str, ending| Ok(IconPlace { folder: folder.to_owned(), ending });
        assert_eq!(IconPlace::of("a/b.png", &png(48, 48)), place("48x48/apps", "png"));
        assert_eq!(IconPlace::of("b.svg", b"<svg/>"), place("scalable/apps", "svg"));
        assert!(IconPlace::all().any(|place| place.folder == "48x48/apps"));
    }

    #[test]
    fn other_pictures_are_refused() {
        for (path, bytes) in [
            ("a.png", png(48, 32)),
            ("a.png", png(47, 47)),
            ("a.png", png(48, 48)[..20].to_vec()),
            ("a.png", b"GIF89a".to_vec()),
            ("a.ico", png(48, 48)),
            ("png", png(48, 48)),
        ] {
            assert!(IconPlace::of(path, &bytes).is_err(), "{path}");
        }
    }
}
