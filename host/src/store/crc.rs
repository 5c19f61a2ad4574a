//! A CRC-32 of what is read or written, on its way.

use std::io::{self, Read, Write};

use crc32fast::Hasher;

/// Counts and hashes what passes through.
pub(super) struct Crc<I> {
    pub inner: I,
    pub hash: Hasher,
    pub bytes: u64,
}

impl<I> Crc<I> {
    pub fn new(inner: I) -> Self {
        Self {
            inner,
            hash: Hasher::new(),
            bytes: 0,
        }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<I: Read> Read for Crc<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.passed(&buffer[..n]);
        Ok(n)
    }
}

impl<I: Write> Write for Crc<I> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.passed(&buffer[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
