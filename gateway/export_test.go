package gateway

// For the tests outside the package.
var (
	ClientAddress = clientAddress
	Neighbours    = neighbours
)
