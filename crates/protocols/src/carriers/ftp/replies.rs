//! What the peer reads: one code and a short text for each cause. The log knows more (BP-20).
