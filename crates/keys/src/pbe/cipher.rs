//! The ciphers that files are protected with.

use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{
    BlockCipherDecrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit, KeyIvInit, StreamCipher,
};
use zeroize::Zeroizing;

/// A cipher with all that is needed but key and initial vector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cipher {
    Des,
    TripleDes,
    /// With two keys, the first taken twice.
    TripleDesTwoKeys,
    Aes128,
    Aes192,
    Aes256,
    /// RC2 with so many octets of key and effective bits.
    Rc2 {
        octets: usize,
        bits: usize,
    },
    /// RC4 with so many octets of key.
    Rc4 {
        octets: usize,
    },
}

impl Cipher {
    /// Octets of its key.
    pub(crate) const fn key_octets(self) -> usize {
        match self {
            Self::Des => 8,
            Self::TripleDesTwoKeys | Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
            Self::Rc2 { octets, .. } | Self::Rc4 { octets } => octets,
        }
    }

    /// Octets of its initial vector.
    pub(crate) const fn iv_octets(self) -> usize {
        match self {
            Self::Rc4 { .. } => 0,
            Self::Des | Self::TripleDes | Self::TripleDesTwoKeys | Self::Rc2 { .. } => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }

    /// Its name, if it protects little.
    pub(crate) const fn weak_name(self) -> Option<&'static str> {
        match self {
            Self::Des => Some("DES"),
            Self::TripleDes | Self::TripleDesTwoKeys => Some("3DES"),
            Self::Rc2 { .. } => Some("RC2"),
            Self::Rc4 { .. } => Some("RC4"),
            Self::Aes128 | Self::Aes192 | Self::Aes256 => None,
        }
    }

    /// Opens `content` in CBC mode, RC4 as it is, and takes the padding off. `None`: the key is wrong or the content
    /// damaged, which look alike.
    pub(crate) fn decrypt(self, key: &[u8], iv: &[u8], content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if key.len() != self.key_octets() || iv.len() != self.iv_octets() {
            return None;
        }
        let mut clear = Zeroizing::new(content.to_vec());
        let length = match self {
            Self::Des => unpadded(cbc::Decryptor::<des::Des>::new_from_slices(key, iv).ok()?, &mut clear)?,
            Self::TripleDes => unpadded(cbc::Decryptor::<des::TdesEde3>::new_from_slices(key, iv).ok()?, &mut clear)?,
            Self::TripleDesTwoKeys => {
                unpadded(cbc::Decryptor::<des::TdesEde2>::new_from_slices(key, iv).ok()?, &mut clear)?
            }
            Self::Aes128 => unpadded(cbc::Decryptor::<aes::Aes128>::new_from_slices(key, iv).ok()?, &mut clear)?,
            Self::Aes192 => unpadded(cbc::Decryptor::<aes::Aes192>::new_from_slices(key, iv).ok()?, &mut clear)?,
            Self::Aes256 => unpadded(cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv).ok()?, &mut clear)?,
            Self::Rc2 { bits, .. } => {
                let cipher = rc2::Rc2::new_with_eff_key_len(key, bits);
                unpadded(cbc::Decryptor::inner_iv_slice_init(cipher, iv).ok()?, &mut clear)?
            }
            Self::Rc4 { .. } => {
                rc4::Rc4::new_from_slice(key).ok()?.try_apply_keystream(&mut clear).ok()?;
                clear.len()
            }
        };
        clear.truncate(length);
        Some(clear)
    }

    /// As [`Self::decrypt`], of whole blocks without padding.
    pub(crate) fn decrypt_blocks(self, key: &[u8], iv: &[u8], content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if self != Self::Aes256 {
            return None;
        }
        let mut clear = Zeroizing::new(content.to_vec());
        let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv).ok()?;
        cipher.decrypt_padded::<NoPadding>(&mut clear).ok()?;
        Some(clear)
    }
}

/// Decrypts in place; how many octets are left without the padding.
fn unpadded<C: BlockCipherDecrypt>(cipher: cbc::Decryptor<C>, octets: &mut [u8]) -> Option<usize> {
    cipher.decrypt_padded::<Pkcs7>(octets).ok().map(<[u8]>::len)
}

/// Encrypts whole blocks with AES-256 in CBC mode, without padding.
pub(crate) fn encrypt_aes256_blocks(key: &[u8], iv: &[u8], clear: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Zeroizing::new(clear.to_vec());
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(key, iv).ok()?;
    cipher.encrypt_padded::<NoPadding>(&mut octets, clear.len()).ok().map(<[u8]>::to_vec)
}

/// Encrypts with AES-256 in CBC mode, with padding.
pub(crate) fn encrypt_aes256(key: &[u8], iv: &[u8], clear: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(clear.len() + 16));
    octets.extend_from_slice(clear);
    octets.resize(clear.len() + 16, 0);
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(key, iv).ok()?;
    cipher.encrypt_padded::<Pkcs7>(&mut octets, clear.len()).ok().map(<[u8]>::to_vec)
}
