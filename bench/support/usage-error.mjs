// What is told to whoever runs a benchmark, without a stack.
export class UsageError extends Error {}
