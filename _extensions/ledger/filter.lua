-- Unwraps `.typed`, fills the blocks that the ledger writes, links each exhibit to its notebook
-- cell, and closes the page with the ledger.

local function script(name)
  return quarto and quarto.utils.resolve_path(name)
    or os.getenv("CLAIMLEDGER_EXTENSION") .. "/" .. name
end
local core, draw, panel = dofile(script("core.lua")), dofile(script("draw.lua")), dofile(script("panel.lua"))
local marked = pandoc.List()

local collect = {
  Span = function(span)
    if span.classes:includes("typed") then
      marked:insert(span)
      return span.content
    end
  end,
}

local fills = {
  ["typed-exceptions"] = function() return draw.exceptions(marked) end,
  ["ledger-colophon"] = function() return draw.colophon() end,
  ["deviations"] = function() return draw.deviations() end,
}

local fill = {
  Meta = draw.read_titles,
  Div = function(div)
    if fills[div.identifier] then
      div.content = fills[div.identifier]()
      return div
    end
    if div.classes:includes("power-panel") then return panel.fill(div) end
    if div.identifier == "simulation-notice" and core.ledger().header.status ~= "simulated" then
      return {}
    end
  end,
}

-- Quarto's own node for a figure or table with a label. Its wrapper would keep an unresolved
-- `alt`, and DOCX and JATS would lose the picture's; Word takes a PNG, which needs no converter.
local function described(float)
  local exhibit = core.given(core.ledger().exhibits or {})[float.identifier]
  local alt = exhibit and core.given(exhibit.alt)
  if not alt then return end
  float.attributes.alt, float.attributes["fig-alt"] = nil, nil
  float.content = float.content:walk({
    Image = function(image)
      local png = "figures/" .. float.identifier .. ".png"
      if FORMAT == "docx" and core.exists(png) then image.src = png end
      image.attributes["fig-alt"], image.attributes.alt = alt, nil
      image.caption = pandoc.Inlines(alt)
      return image
    end,
  })
end

local exhibits = {
  FloatRefTarget = function(float)
    described(float)
    local note, caption = draw.note(float.identifier), float.caption_long
    if #note > 0 and caption and caption.content then caption.content:extend(note) end
    return float
  end,
}

local close = {
  Pandoc = function(doc)
    if not (core.html and core.article) then return nil end
    local section = pandoc.RawBlock("html", draw.section())
    if quarto then
      quarto.doc.add_html_dependency({
        name = "ledger-cards", version = "0.1.0",
        stylesheets = { "cards.css", "exhibits.css" },
        scripts = { { path = "cards.js", afterBody = true }, { path = "exhibits.js", afterBody = true } },
      })
      doc.blocks:insert(section)
    else
      doc.meta["ledger-section"] = pandoc.MetaBlocks({ section })
    end
    return doc
  end,
}

return { collect, fill, exhibits, close }
