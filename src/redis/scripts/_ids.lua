-- Compares the ids of entries, `<milliseconds>-<counter>`.
local function id_parts(id)
  local ms, counter = string.match(id, '^(%d+)%-?(%d*)$')
  return tonumber(ms), tonumber(counter) or 0
end

local function is_after(id, last)
  local ms, counter = id_parts(id)
  local last_ms, last_counter = id_parts(last)
  return ms > last_ms or (ms == last_ms and counter > last_counter)
end
