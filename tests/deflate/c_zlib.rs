//! The C library zlib.

use libz_sys::{Z_DEFAULT_STRATEGY, Z_DEFLATED, Z_FILTERED, Z_FINISH, Z_NO_FLUSH, Z_OK, Z_STREAM_END};
use patcher::internal::deflate::{DeflateParameters, DeflateStrategy};

/// 32 KiB of window, and a stream without header and checksum.
const RAW_WINDOW_BITS: i32 = -15;

/// Returns the raw stream of `input`, which the library gets in pieces of `piece` bytes.
#[expect(unsafe_code, reason = "calls into C")]
pub fn deflate(input: &[u8], parameters: DeflateParameters, piece: usize) -> Vec<u8> {
    let strategy = match parameters.strategy() {
        DeflateStrategy::Filtered => Z_FILTERED,
        _ => Z_DEFAULT_STRATEGY,
    };
    // More than zlib's bound for any parameters.
    let mut out = vec![0; input.len() + input.len() / 4 + 1000];
    let mut stream = std::mem::MaybeUninit::<libz_sys::z_stream>::zeroed();
    // SAFETY: zlib accepts a zeroed stream, whose allocators are then its own. The pointers lead to
    // `input` and `out`, which outlive the calls, with their lengths.
    unsafe {
        let stream = stream.as_mut_ptr();
        let (level, memory) = (parameters.level().into(), parameters.memory_level().into());
        let size = size_of::<libz_sys::z_stream>() as i32;
        let version = libz_sys::zlibVersion();
        let begun =
            libz_sys::deflateInit2_(stream, level, Z_DEFLATED, RAW_WINDOW_BITS, memory, strategy, version, size);
        assert_eq!(begun, Z_OK);
        (*stream).next_out = out.as_mut_ptr();
        (*stream).avail_out = out.len() as u32;
        for piece in input.chunks(piece) {
            (*stream).next_in = piece.as_ptr().cast_mut();
            (*stream).avail_in = piece.len() as u32;
            if piece.as_ptr_range().end < input.as_ptr_range().end {
                assert_eq!(libz_sys::deflate(stream, Z_NO_FLUSH), Z_OK);
                assert_eq!((*stream).avail_in, 0);
            }
        }
        assert_eq!(libz_sys::deflate(stream, Z_FINISH), Z_STREAM_END);
        out.truncate(out.len() - (*stream).avail_out as usize);
        assert_eq!(libz_sys::deflateEnd(stream), Z_OK);
    }
    out
}
