module titorelli/driver

go 1.26.0
