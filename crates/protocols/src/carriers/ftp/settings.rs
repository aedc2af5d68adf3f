//! What objects say about FTP, as server and client need it.
