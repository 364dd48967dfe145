package gate

// MaxFlags is how many sales have a flag at the most.
const MaxFlags = maxFlags
