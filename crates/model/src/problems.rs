//! Problems that only show when objects are seen together.
