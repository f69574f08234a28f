//! The suite through every host: see the tests beside this file.
