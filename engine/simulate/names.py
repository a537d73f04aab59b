"""Invented people and what rooms and neighbourhoods are called."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN: Final = _words("""
    Ada Aiko Akua Alejandra Amara Amir Anika Anouk Arjun Astrid Ayumi Beatriz Bilal
    Brigid Camila Chidi Chiara Dagny Daniel Dao Elif Elias Emeka Esra Eleni Fatima
    Femke Finn Freya Gabriela Giorgos Grace Hana Hassan Helmi Hugo Ibrahim Ida Imani
    Ingrid Isabel Ivana Jamal Jana Jelle Jin Joao Johanna Kamal Karin Kenji Khadija
    Kofi Lars Layla Leila Liang Linnea Lotte Lucia Lwazi Maarten Malik Mariana Marek
    Mei Mila Min Miriam Mohan Naledi Nadia Nils Noor Nuria Oksana Olamide Omar Oskar
    Paolo Petra Priya Quynh Rafael Ravi Renske Rosa Ruben Saad Sanna Santiago Selin
    Sofie Soren Suki Tamara Tariq Tessa Thandi Thijs Tomas Ulla Umut Valentina Vikram
    Wanjiru Wei Wout Xenia Yara Yasmin Youssef Yuki Yusuf Zeynep Zofia Zuri
""")

FAMILY: Final = _words("""
    Abebe Adeyemi Aguilar Ahmadi Albers Almeida Andersson Aydin Baker Banerjee Bakker
    Barros Becker Bianchi Blom Boateng Bosman Brandt Bruun Cardoso Castillo Chandra
    Chen Costa Cruz Dahl Danjuma Demir Desai Dijkstra Dlamini Dubois Eriksen Espinoza
    Farouk Fernandes Fischer Flores Fofana Fontaine Garba Gonzalez Grimaldi Gupta
    Haddad Hansen Haruna Hendriks Hoang Horvat Huber Ibarra Ivanova Jansen Jensen
    Juarez Kaplan Karlsson Kaya Keller Khan Kimura Kovacs Kowalski Kruger Kumar Lehto
    Lindqvist Lopes Mahlangu Marino Martens Mbeki Mehta Meyer Moreau Moretti Mulder
    Murphy Nakamura Nasser Ndiaye Nguyen Nowak Nyong Obi Okafor Olsen Oduya Ortega
    Osei Park Patel Pereira Petrov Pham Popescu Quispe Rahman Ramos Reyes Rossi Ruiz
    Saleh Santos Sato Schmitt Sharma Silva Singh Smit Sorensen Suzuki Takahashi Tan
    Tanaka Tekin Thorsen Toure Tran Ueda Vargas Verhoeven Vidal Visser Vos Wagner
    Walsh Weber Willems Wouters Xu Yilmaz Zaman Zhang Ziegler
""")

NEIGHBOURHOODS: Final = (
    ("Harbour", "Meadow", "Orchard", "Lantern"),
    ("Quay", "Heath", "Garden", "Compass"),
    ("Tide", "Grove", "Terrace", "Beacon"),
    ("Dune", "Willow", "Courtyard", "Anchor"),
    ("Pier", "Clover", "Arcade", "Signal"),
    ("Delta", "Birch", "Gallery", "Zenith"),
)
"""By level, then by zone A to D."""

ROOMS: Final = (
    # gatherings, for the ground
    _words("""
        Forum Agora Atrium Plaza Bazaar Parlour Studio Workshop Salon Library Arena
        Stage Pavilion Loft Foyer Archive Gazebo Canteen Portico Rotunda"""),
    # rivers
    _words("""
        Danube Loire Tagus Vistula Elbe Rhone Oder Ebro Tiber Moselle Severn Drava
        Neris Morava Garonne Douro Isar Arno Meuse Shannon Aare Lech Inn Tisza"""),
    # trees
    _words("""
        Alder Aspen Beech Cedar Cypress Elm Hazel Hornbeam Juniper Larch Linden Maple
        Olive Poplar Rowan Sequoia Spruce Sycamore Walnut Yew Acacia Laurel Plane Fir
        """),
    # those who reckoned
    _words("""
        Lovelace Hopper Noether Turing Euler Germain Ramanujan Hypatia Gauss Kepler
        Curie Meitner Franklin Johnson Mirzakhani Banneker Erdos Fourier Galois
        Lamarr Wiener Somerville Agnesi Pascal"""),
    # winds
    _words("""
        Mistral Sirocco Bora Foehn Zephyr Chinook Levante Meltemi Ostro Passat
        Tramontana Libeccio Monsoon Pampero Harmattan Khamsin Ponente Gregale Autan
        Bise Cierzo Marin Solano Tivano"""),
    # constellations
    _words("""
        Andromeda Aquila Auriga Bootes Carina Cassiopeia Centaurus Cetus Columba
        Corvus Cygnus Delphinus Dorado Draco Eridanus Hydra Lacerta Lyra Orion Pavo
        Pegasus Perseus Phoenix Vela"""),
)
"""By level; enough for every room of one."""
