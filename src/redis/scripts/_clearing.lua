-- What `clear` removes, and how. ARGV begins with: prefix, watermark (a generation), the last id on `work` when it was taken.
local watermark, last_work = tonumber(ARGV[2]), ARGV[3]

local function id_parts(id)
  local ms, counter = string.match(id, '^(%d+)%-?(%d*)$')
  return tonumber(ms), tonumber(counter) or 0
end

local function is_after(id, last)
  local ms, counter = id_parts(id)
  local last_ms, last_counter = id_parts(last)
  return ms > last_ms or (ms == last_ms and counter > last_counter)
end

-- Whether a placement came before the watermark: by its generation, or by the id of the entry on `work` that it began as.
-- Who tells neither was moved by another version of docket, and counts as older.
local function is_older(placed)
  if not placed then
    return true
  elseif string.find(placed, '-', 1, true) then
    return not is_after(placed, last_work)
  end
  return tonumber(placed) < watermark
end

-- Ends what was taken from wherever it was. `placed` is its generation, or its due time when it has no record.
local function dismiss(moving, placed)
  if moving.q or moving.u then
    forget_limits(moving.k and 'k' .. moving.k or 'l' .. id_of(moving.m), placed, moving.q, moving.u)
  end
  if moving.k then
    close(moving.k, ttl_of(moving.m), 'cancelled', 'y', 'cleared')
  end
end
