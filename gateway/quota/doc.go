// Package quota bounds how much clients may ask for: messages and bytes that
// they publish, other requests, and how often they may be refused before they
// are too fast to be kept. A [Registry] belongs to one gateway; each connection
// has a [Client] of it, and each user with a token that is connected a [User],
// whom all connections of that user share.
//
// What is refused takes nothing from any limit, and is told when it would pass.
// Of many that are refused at once each is told another time, later by what the
// limit lets through: who obeys is refused once.
//
// No lock is shared by all clients but while one comes or goes, and nothing is
// allocated for what is let through.
package quota
