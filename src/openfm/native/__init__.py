"""The C++ core: the loops that touch every value. Flat arrays in, flat arrays out."""
