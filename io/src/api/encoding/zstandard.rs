//! zstd (RFC 8878) frames decoded one after the other, with a bounded window.
//!
//! Before and after it: [`decode`](super::decode), which cuts input and output into bounded parts.

use std::fmt;

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{ZSTD_WINDOW_LOG_MAX, decode::Fault};

/// The library's words for a window beyond the limit; it has no typed error. A test holds it to them.
const WINDOW_ERROR_TEXT: &str = "Frame requires too much memory for decoding";

/// Decodes a sequence of zstd frames, skippable ones included.
pub(super) struct ZstdDecoder {
    frames: DCtx<'static>,
    /// The last byte read was the last one of a frame.
    at_frame_end: bool,
    /// The output was filled the last time: there may be more of it without more input.
    more_output: bool,
}

impl ZstdDecoder {
    pub(super) fn new() -> Self {
        let mut frames = DCtx::create();
        frames
            .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
            .expect("the limit is one that zstd knows");
        Self { frames, at_frame_end: false, more_output: false }
    }

    /// Whether the input may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.at_frame_end
    }

    /// Memory it holds, its window included.
    pub(super) fn memory_bytes(&self) -> usize {
        self.frames.sizeof()
    }

    /// Decodes from the front of `input` into `out`, until the one is empty or the other full. `written` counts the
    /// bytes of `out`, also those of the steps before an error.
    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
        written: &mut usize,
    ) -> Result<(), Fault> {
        // Asking with neither input nor output due would count as an error after a while.
        while *written < out.len() && (self.more_output || !input.is_empty()) {
            let mut source = InBuffer::around(input);
            let mut target = OutBuffer::around(&mut out[*written..]);
            let hint = self.frames.decompress_stream(&mut target, &mut source).map_err(fault)?;
            let (consumed, produced) = (source.pos(), target.pos());
            *input = &input[consumed..];
            *written += produced;
            self.more_output = *written == out.len();
            if consumed > 0 || produced > 0 {
                self.at_frame_end = hint == 0;
            }
        }
        Ok(())
    }
}

fn fault(code: usize) -> Fault {
    let words = get_error_name(code);
    if words == WINDOW_ERROR_TEXT { Fault::ZstdWindow } else { Fault::Zstd(words.into()) }
}

impl fmt::Debug for ZstdDecoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ZstdDecoder")
            .field("at_frame_end", &self.at_frame_end)
            .finish_non_exhaustive()
    }
}
