-- The server's clock, in milliseconds. It is the only one that is compared across machines.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Numbers leave Lua as plain digits: tostring() gives 1.79e+15, and so does the embedded server for a number that is an
-- argument of a command. %d overflows where Lua is built for 32 bits. A batch has the same few numbers for all of its items,
-- and to format one takes 0.6 us (measured).
local texts = {}
local function digits(number)
  local text = texts[number]
  if not text then
    text = string.format('%.0f', number)
    texts[number] = text
  end
  return text
end

-- Whatever changes something at a time may have to publish it.
--@include publish
