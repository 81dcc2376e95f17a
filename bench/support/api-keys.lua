-- Sends the API keys of a file in turn, one a line, in `x-api-key`: wrk -s api-keys.lua URL -- FILE PAUSE
-- PAUSE: ms that a connection waits before each request, 0 for none.
-- Ends with one line of JSON: requests answered, and how many of them not as they should have been.
local requests, last = {}, 0

function init (args)
  for key in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format('GET', nil, { ['x-api-key'] = key })
  end
  local pause = tonumber(args[2])
  -- Where it is defined, wrk sets a timer for each request.
  if pause > 0 then
    function delay () return pause end
  end
end

function request ()
  last = last % #requests + 1
  return requests[last]
end

function done (summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format('{ "requests": %d, "failed": %d }\n', summary.requests, failed))
end
