// The floor of every start-up: a compiled program that does nothing.
void 0;
