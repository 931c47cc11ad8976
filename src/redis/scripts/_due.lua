-- Reads a due time as `due-argument.ts` writes it: '' is now, '+n' is n ms from now, '@n' is n ms of the server's
-- clock. It may lie in the past.
local function due_time(due)
  if due == '' then
    return now
  end
  local ms = tonumber(string.sub(due, 2))
  return string.sub(due, 1, 1) == DUE.after and now + ms or ms
end
