-- Sends the lines of a file in turn, as the value of a header: wrk -s credentials.lua URL -- HEADER FILE
-- Ends with one line of JSON: requests answered, how many of them not as they should have been, and how long it took.
local requests, last = {}, 0

function init (args)
  for line in io.lines(args[2]) do
    requests[#requests + 1] = wrk.format('GET', nil, { [args[1]] = line })
  end
end

function request ()
  last = last % #requests + 1
  return requests[last]
end

function done (summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format('{ "requests": %d, "failed": %d, "seconds": %f }\n', summary.requests, failed, summary.duration / 1e6))
end
