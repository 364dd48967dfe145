package gate

// MaxRefusals is of how many sales a refusal is known at the most.
const MaxRefusals = maxRefusals
