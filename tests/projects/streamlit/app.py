import streamlit as st

st.title("Rainfall")
st.line_chart([3.6, 4.4, 39.5])
