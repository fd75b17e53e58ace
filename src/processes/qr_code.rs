//! QR codes as PNG images: one bit a pixel, no colour profile, no text.

use png::{BitDepth, ColorType, Encoder};
use qrcodegen::{QrCode, QrCodeEcc};
use zeroize::Zeroizing;

/// Margin around the code, in modules (ISO/IEC 18004, section 9.1).
const QUIET_ZONE: i32 = 4;
/// Pixels of a module's side. With one bit a pixel a module takes one byte of a row.
const MODULE_PIXELS: usize = 8;

/// The QR code of a text and the side of the square image in pixels; `None` for a text beyond 2,331 bytes.
pub(super) fn png(text: &str) -> Option<(Zeroizing<Vec<u8>>, u32)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let modules = -QUIET_ZONE..code.size() + QUIET_ZONE;
    let mut pixels = Zeroizing::new(Vec::with_capacity(modules.len() * modules.len() * MODULE_PIXELS));
    for y in modules.clone() {
        let row = modules.clone().map(|x| if code.get_module(x, y) { 0x00 } else { 0xFF });
        let row = Zeroizing::new(row.collect::<Vec<u8>>());
        pixels.extend(row.repeat(MODULE_PIXELS));
    }
    let side = u32::try_from(modules.len() * MODULE_PIXELS).ok()?;
    let mut image = Zeroizing::new(Vec::new());
    let mut encoder = Encoder::new(&mut *image, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some((image, side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rqrr::PreparedImage;

    #[test]
    fn a_reader_finds_the_text_in_the_image() {
        let text =
            "otpauth://totp/Registrar:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Registrar";
        let (image, side) = png(text).expect("it fits");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&*image)).read_info().expect("a PNG");
        assert_eq!((reader.info().width, reader.info().height), (side, side));
        let mut pixels = vec![0; reader.output_buffer_size().expect("it fits")];
        reader.next_frame(&mut pixels).expect("an image");
        let row = side as usize / 8;
        let grey = |x: usize, y: usize| if pixels[y * row + x / 8] >> (7 - x % 8) & 1 == 1 { 255 } else { 0 };
        let mut image = PreparedImage::prepare_from_greyscale(side as usize, side as usize, grey);
        let found: Vec<String> = image.detect_grids().iter().map(|grid| grid.decode().expect("a code").1).collect();
        assert_eq!(found, [text]);
    }

    #[test]
    fn a_text_that_fits_no_code_has_none() {
        assert!(png(&"x".repeat(3_000)).is_none());
    }
}
