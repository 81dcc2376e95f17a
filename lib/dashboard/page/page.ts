// The hosted page's own script: tells the element where its tokens come from.
export {}
