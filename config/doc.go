// Package config turns a file, the environment and command line flags into
// one validated [Config].
//
// Layers, later ones win: the defaults, the file (YAML), variables named
// JETWAY_…, flags. One table, [Keys], says which keys exist, with their kind,
// default and meaning; the names of variables and flags, the help texts,
// docs/configuration.md and the search for the nearest key are made from it.
//
// Reading is strict: an unknown key, in any layer, is an error, because a
// misspelt limit is a limit that is not there. All problems are reported at
// once, each in one line that says where it is and what to do.
//
// Two keys replace rather than merge: a list in a later layer replaces the
// whole list of an earlier one, and a role is replaced as a whole, so that
// narrowing a role's "pub" cannot leave the default's "sub" behind. The
// default roles stay unless one of the same name is given.
//
// The package only reads and validates. cmd/jetway maps a Config to the
// Options of the other packages. It imports none of them but bridge, for the
// rules of subjects. A Config is not changed after [Load]; all its methods may
// be called concurrently.
package config
